"""From an opened image file to the pixels that are trained on: a random crop, resized with antialiasing.

The crop is torchvision's RandomResizedCrop (Szegedy et al., "Going Deeper with Convolutions", section 6), the
resampling Pillow's, antialiased, to one level of 255, by torch's kernel for uint8, which takes a third of the time.
Where a crop is at least twice as large as wanted, a JPEG is decoded at a half, a quarter or an eighth of its size, and
the crop moves to whole pixels of that.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data.image_file import format_of
from pgsclip.data.to_rgb import to_rgb, upright_size

_TRIES = 10
_ASPECTS = (3 / 4, 4 / 3)
_FACTORS = (8, 4, 2)
"""By which libjpeg's inverse transform shrinks as it decodes."""


class Box(NamedTuple):
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    def divided(self, factor: int) -> Box:
        """The same rectangle in pixels that are `factor` times as large, as far as these are whole."""
        return Box(self.left // factor, self.top // factor, self.width // factor, self.height // factor)


@dataclass(frozen=True)
class TrainCrop:
    """Random crop of an image, as large as the model wants it."""

    size: tuple[int, int]
    """Height and width in pixels."""
    scale: tuple[float, float]
    """Smallest and largest share of the image's area."""
    interpolation: str = "bicubic"
    """Or `bilinear`; both antialiased."""
    background: str = BACKGROUND
    """Colour that shows where the image is see-through."""

    def __call__(self, picture: Image.Image, chance: random.Random) -> UInt8[Tensor, "3 H W"]:
        """Decode and crop; which crop is decided by `chance` alone. Raises what Pillow raises."""
        image = (
            None if format_of(picture) == "JPEG" else to_rgb(picture, self.background)
        )  # others may say late how they stand
        width, height = upright_size(picture) if image is None else image.size
        box = draw_box(width, height, self.scale, chance)
        if image is None:
            factor = self._shrunk(picture, box)
            image, box = to_rgb(picture, self.background), box.divided(factor)
        pixels = _cut(np.asarray(image), box)
        return F.interpolate(pixels, self.size, mode=self.interpolation, antialias=True)[0].contiguous()

    def _shrunk(self, picture: Image.Image, box: Box) -> int:
        """Have a JPEG decoded no larger than the crop needs; by how much, a power of two."""
        times = min(box.width / self.size[1], box.height / self.size[0])
        factor = next((factor for factor in _FACTORS if factor <= times), 1)
        if factor > 1:
            picture.draft("RGB", (picture.width // factor, picture.height // factor))
        return factor


def draw_box(width: int, height: int, scale: tuple[float, float], chance: random.Random) -> Box:
    """A random share of the area at a random aspect from 3:4 to 4:3, or the largest centred one when none fits."""
    for _ in range(_TRIES):
        area = width * height * chance.uniform(*scale)
        aspect = math.exp(chance.uniform(math.log(_ASPECTS[0]), math.log(_ASPECTS[1])))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            return Box(chance.randint(0, width - wide), chance.randint(0, height - high), wide, high)
    wide = min(width, max(1, round(height * _ASPECTS[1])))
    high = min(height, max(1, round(width / _ASPECTS[0])))
    return Box((width - wide) // 2, (height - high) // 2, wide, high)


def _cut(image: np.ndarray, box: Box) -> Tensor:
    """(1, 3, H, W) of bytes, the channels of a pixel together."""
    cut = image[box.top : box.top + box.height, box.left : box.left + box.width]
    return torch.from_numpy(cut.copy()).permute(2, 0, 1).unsqueeze(0)
