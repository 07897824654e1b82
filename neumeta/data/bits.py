"""How many bits a channel a file of an image has, which Pillow cuts to 8 without a word."""

import re

from PIL import Image

_PNM = re.compile(
    rb"P[2356]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*(\d+)"
)
_BITS_PER_SAMPLE = 258  # tag of TIFF


def bits_of(data: bytes, image: Image.Image) -> int:
    """Read the bits of a channel off the head of a file.

    Args:
        data: Content of the file.
        image: The same, opened.

    Returns:
        The most that a channel has; 8 where the format knows no other, or does not say.
    """
    kind = image.format
    if kind == "PNG":
        return data[24]
    if kind == "TIFF":
        found = image.tag_v2.get(_BITS_PER_SAMPLE, 8)  # type: ignore[attr-defined]
        return max(found) if isinstance(found, tuple) else int(found)
    if kind == "PPM" and (head := _PNM.match(data)):
        return int(head[1]).bit_length()
    if kind == "JPEG2000" and (place := data.find(b"\xff\x51")) >= 0 and len(data) > place + 40:
        return (data[place + 40] & 0x7F) + 1  # Ssiz of the first component
    if kind == "AVIF" and (place := data.find(b"av1C")) >= 0 and len(data) > place + 6:
        return 10 if data[place + 6] & 0x40 else 8  # high_bitdepth
    return 8
