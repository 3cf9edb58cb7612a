"""Any picture as the tower and a person see it: upright, in RGB, eight bits a channel."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Turned as the camera's tag says, in RGB; 16 bits keep their grey values.

    Raises:
        Exception: whatever Pillow raises while it decodes a damaged file.
    """
    if picture.mode.startswith("I"):  # 16 bits: convert() would clip them at 255, and the picture would be white
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    image = picture.convert("RGB")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged tag does not make a damaged picture
        return image
