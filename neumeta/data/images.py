"""Decoding one image file: upright, on a stated background, within stated limits."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from neumeta.data.bits import bits_of

# By the format that Pillow reads them as; others, which may start programs, are never opened.
_SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "MPO": (),  # what some cameras call .jpg; its first picture is the photograph
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "TGA": (".tga",),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
}
Image.init()
FORMATS = tuple(name for name in _SUFFIXES if name in Image.OPEN)
SUFFIXES = frozenset(suffix for name in FORMATS for suffix in _SUFFIXES[name])
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
MOST_PIXELS = 2**26  # of one image: 8,192 x 8,192
_GRAY_MODES = frozenset({"1", "L", "LA"})
_LFS = b"version https://git-lfs"


def decode(
    data: bytes, size: int | None = None, background: int = 255, crop: int | None = None
) -> np.ndarray:
    """Decode an image.

    Args:
        data: Content of the file.
        size: Side to resize to, pixels; None keeps it as it is.
        background: Gray value, 0..255, that transparent pixels are laid on.
        crop: Side of the square that is cut out of the centre, pixels; `size` is then the length
            of the shorter side, the other following. None cuts nothing.

    Returns:
        Pixels of 8 bits, shape (height, width) of gray images, else (height, width, 3), turned as
        the file's EXIF orientation says.

    Raises:
        ValueError: If the content is no image, or one that would lose what it holds.
        Exception: Whatever else a decoder raises.
    """
    if data.startswith(_LFS):
        raise ValueError("a pointer of Git LFS; run `git lfs pull`")
    with warnings.catch_warnings(), _without_log():
        warnings.simplefilter("ignore")  # limits are ours, checked below
        try:
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise ValueError(f"its content is none of {', '.join(FORMATS)}") from None
        with opened:
            _check(opened, bits_of(data, opened))
            with _quiet(opened.format == "TIFF"):
                image = _flat(ImageOps.exif_transpose(opened), background)
    if size is not None:
        shorter = min(image.size)
        sides = [round(side * size / shorter) for side in image.size] if crop else [size, size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
    if crop is not None:
        image = _centre(image, crop)
    return np.asarray(image, dtype=np.uint8)


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep Pillow from logging, beside our line, why it refuses a file."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _quiet(needed: bool) -> Iterator[None]:
    """Keep a library in C from writing what it stumbles over to the terminal, beside our line."""
    if not needed:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check(image: Image.Image, bits: int) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels; at most {MOST_PIXELS:,} in all are decoded")
    if image.mode not in EIGHT_BIT_MODES:
        allowed = ", ".join(sorted(EIGHT_BIT_MODES))
        raise ValueError(
            f"pixel mode {image.mode} would be clipped; convert it to 8 bits a channel ({allowed})"
        )
    if bits > 8:
        raise ValueError(f"{bits} bits a channel would be cut; convert it to 8 bits a channel")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ValueError(f"{frames} pictures in one file; save the one that is meant")


def _centre(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    if min(width, height) < side:
        raise ValueError(f"{width} x {height} pixels; crop needs {side} or more, or an image_size")
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _flat(image: Image.Image, background: int) -> Image.Image:
    """Gray or RGB, without transparency."""
    plain = "L" if image.mode in _GRAY_MODES else "RGB"
    if not image.has_transparency_data:
        return image.convert(plain)
    whole = image.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (background, background, background, 255))
    return Image.alpha_composite(ground, whole).convert(plain)
