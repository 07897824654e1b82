"""Files of more than 8 bits a channel, which a decoder would cut."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from neumeta.data.images import FORMATS, decode


def png(colour: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b"".join(b"\0" + np.arange(4 * channels, dtype=">u2").tobytes() for _ in range(4))
    head = struct.pack(">IIBBBBB", 4, 4, 16, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    "content",
    [png(2, 3), png(6, 4), png(4, 2), b"P6\n# 16 bits\n4 4\n65535\n" + bytes(96)],
    ids=["rgb", "rgba", "gray and alpha", "pnm"],
)
def test_sixteen_bits_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="16 bits a channel would be cut"):
        decode(content)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "MPO"])
def test_eight_bits_of_every_format_are_read(kind: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 90)).save(stream, kind)
    assert decode(stream.getvalue()).shape[:2] == (8, 8)
