"""From an opened image to an upright RGB picture, whatever its mode, depth, orientation, profile and transparency.

Every door goes through here (training, check, make, preview, viz-mask, evaluation, parity, Python), so that all see
one picture: the one that a browser shows, on a ground that can be chosen.
"""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image, ImageColor

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data.colours import apply_profile, lab_to_rgb
from pgsclip.data.image_file import UnsupportedImageError

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations (CIPA DC-008, tag 0x0112) and what undoes each."""
_SIDEWAYS = range(5, 9)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Find the width and height that `to_rgb` will give; for a JPEG without decoding it."""
    return picture.size[::-1] if _orientation(picture) in _SIDEWAYS else picture.size


def to_rgb(picture: Image.Image, background: str = BACKGROUND) -> Image.Image:
    """Decode an opened image, and turn it as the camera was held.

    Args:
        background: colour that shows where the image is see-through, by name or as `#rrggbb`.

    Raises:
        UnsupportedImageError: numbers of unknown scale. Whatever Pillow raises for a damaged file.
    """
    picture.load()  # some formats say only now how they stand, and what shows through
    turn = _TURNS.get(_orientation(picture))
    colour, alpha = _split(picture)
    rgb = apply_profile(colour, picture.info.get("icc_profile"))
    if alpha is not None and alpha.getextrema() != (255, 255):
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, ImageColor.getrgb(background)[:3]), alpha)
    return rgb if turn is None else rgb.transpose(turn)


def is_see_through(picture: Image.Image) -> bool:
    """Tell whether an opened image has transparency, used or not."""
    return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info


def _orientation(picture: Image.Image) -> int:
    """Read the EXIF orientation. XMP's is left alone, as browsers and libvips leave it."""
    content = picture.info.get("exif")
    if not content or picture.format == "TIFF":  # Pillow itself turns a TIFF
        return 1
    try:
        exif = Image.Exif()
        exif.load(content)
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged tag does not make a damaged picture
        return 1


def _split(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Part the colours (L, RGB or CMYK, 8 bits) from what shows through (L, or None)."""
    clear = picture.info.get("transparency")
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        pixels = np.asarray(picture).clip(0, 65535).astype(np.uint16)
        alpha = None if clear is None else Image.fromarray(np.where(pixels == clear, 0, 255).astype(np.uint8))
        return Image.fromarray((pixels // 257).astype(np.uint8)), alpha
    if picture.mode in ("I", "F"):
        return _clipped(picture), None
    if picture.mode == "LAB":
        return lab_to_rgb(picture), None
    if picture.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:  # 16 bits a colour, read as 8
        pixels = np.asarray(picture)
        same = (pixels == [value >> 8 for value in clear]).all(axis=-1)
        return picture.convert("RGB"), Image.fromarray(np.where(same, 0, 255).astype(np.uint8))
    if is_see_through(picture):
        grey = picture.mode in ("1", "L", "LA", "La")
        whole = picture.convert("LA" if grey else "RGBA")
        return whole.convert("L") if grey else whole.convert("RGB"), whole.getchannel("A")
    return picture.convert({"1": "L", "L": "L", "CMYK": "CMYK"}.get(picture.mode, "RGB")), None


def _clipped(picture: Image.Image) -> Image.Image:
    """Take 32-bit numbers for levels of 255, as libvips does."""
    pixels = np.asarray(picture)
    if picture.mode == "F" and pixels.size and 0 < pixels.max() <= 1 and pixels.min() >= 0:
        raise UnsupportedImageError("floating-point numbers from 0 to 1; save it with 8 or 16 bits a colour")
    return Image.fromarray(np.nan_to_num(pixels).clip(0, 255).astype(np.uint8))
