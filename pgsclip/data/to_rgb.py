"""From an opened image file to an upright RGB picture, whatever its mode, depth and orientation."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image, ImageOps

_TURNED_SIDEWAYS = range(5, 9)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height that `to_rgb` will give, known before anything is decoded."""
    try:
        sideways = "exif" in picture.info and picture.getexif().get(ExifTags.Base.Orientation) in _TURNED_SIDEWAYS
    except Exception:  # a damaged tag does not make a damaged picture
        sideways = False
    return picture.size[::-1] if sideways else picture.size


def to_rgb(picture: Image.Image) -> Image.Image:
    """Decode, and turn as the camera was held."""
    if picture.mode.startswith("I"):  # 16 bits: convert() would clip them at 255, and the picture would be white
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    image = picture.convert("RGB")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as above
        return image
