"""Good contents made bad: bytes altered, lost or put in between, and values that nobody means."""

import io
import random
from copy import deepcopy
from typing import Any

import numpy as np
from PIL import Image

from tests.data.pictures import encoded

ABSURD: tuple[Any, ...] = (
    *(None, True, "", "x", "\x00", "8", "../../etc/passwd", "\u202e", "a" * 5000),
    *(-1, 0, 2**31, 2**63, 10**30, 1e30, -1.5, float("inf"), float("-inf"), float("nan")),
    *([], [None], [[]], [1, 1], {}, {"a": 1}, {"name": []}),
)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The same, but for a cut, a few bytes, a hole or a splinter."""
    found, place = bytearray(content), chance.randrange(len(content))
    match chance.randrange(5):
        case 0:
            del found[place:]
        case 1:
            for _ in range(chance.choice([1, 3, 20])):
                found[chance.randrange(len(found))] = chance.randrange(256)
        case 2:
            del found[place : place + chance.randrange(1, 40)]
        case 3:
            found[place:place] = chance.randbytes(chance.randrange(1, 40))
        case 4:
            found[place % 64 % len(found)] = chance.randrange(256)
    return bytes(found)


def twisted(value: Any, chance: random.Random) -> tuple[Any, str]:
    """A nested value with one place made absurd, taken out or misspelt; and which place."""
    found = deepcopy(value)
    places = list(_places(found))
    holder, key, path = places[chance.randrange(len(places))]
    match chance.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
            return found, f"{path} is gone"
        case 1 if isinstance(holder, dict):
            holder[f"{key}s"] = holder.pop(key)
            return found, f"{path} is misspelt"
        case _:
            holder[key] = chance.choice(ABSURD)
            return found, f"{path} = {str(holder[key])[:20]!r}"


def _places(value: Any, path: str = "") -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        place = f"{path}.{key}" if path else str(key)
        yield value, key, place
        if isinstance(inner, dict | list):
            yield from _places(inner, place)


def pictures() -> dict[str, bytes]:
    """A small image in every format that is read, by suffix."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6
    kinds = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "ppm": "PPM"}
    kinds |= {"tga": "TGA", "jp2": "JPEG2000", "tif": "TIFF"}
    turned = {"JPEG", "WEBP", "PNG"}
    return {
        suffix: encoded(image, kind, **({"exif": exif} if kind in turned else {}))
        for suffix, kind in kinds.items()
    } | {"tiff": encoded(image, "TIFF", compression="tiff_lzw")}


def saved(value: Any, **how: Any) -> bytes:
    """What `torch.save` writes."""
    import torch

    stream = io.BytesIO()
    torch.save(value, stream, **how)
    return stream.getvalue()
