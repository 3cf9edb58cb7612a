"""Colour profiles: from the colours of a file to those of sRGB, as a browser shows them.

Transforms are LittleCMS's, with the intent that the profile asks for. CMYK without a profile becomes (1 - C)(1 - K) and
so on, which is what Chrome and Firefox show.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
"""Mode → the colour space of a profile that fits (ICC.1:2022, table 19)."""
_NEAR = 1
"""Levels of 255 up to which a profile counts as sRGB, and nothing is done."""


def apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Turn an image of mode RGB, L or CMYK into sRGB; a profile that is damaged, or of another space, is left out."""
    transform = _transform_to_srgb(profile, image.mode) if profile else None
    if transform is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only in place it would be
    return converted


def lab_to_rgb(image: Image.Image) -> Image.Image:
    """Turn CIE L*a*b* of 8 bits into sRGB."""
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None
    return converted


@lru_cache(maxsize=64)
def _transform_to_srgb(content: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform of a profile once; None where there is nothing to do."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        if profile.profile.xcolor_space != _SPACES.get(mode):
            return None
        intent = ImageCms.Intent(profile.profile.rendering_intent)
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", intent)
        if mode != "CMYK" and _changes_nothing(transform, mode):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Most profiles in the wild are sRGB's own; a grid of colours tells, and spares a pass over each image."""
    steps = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(18, -1, 3) if mode == "RGB" else steps[None]
    before = Image.fromarray(np.ascontiguousarray(grid))
    after = ImageCms.applyTransform(before, transform)
    different = np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return bool(np.abs(different).max() <= _NEAR)
