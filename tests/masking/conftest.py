"""An image whose object is known, for everything that claims to keep objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD


class Scene(NamedTuple):
    images: Tensor
    """(1, 3, 224, 224), normalised."""
    grid: Grid
    inside: Tensor
    """(196,) bool: the patches of the object."""


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A textured square of 7 x 7 patches on a sky that grows brighter towards the ground, with a camera's noise."""
    chance = np.random.default_rng(0)
    pixels = np.linspace(0.55, 0.75, 224)[:, None, None] * np.array([0.7, 0.85, 1.0]) * np.ones((224, 224, 3))
    pixels[48:160, 64:176] = [0.6, 0.35, 0.2] + 0.25 * chance.standard_normal((112, 112, 1))
    pixels = (pixels + 0.01 * chance.standard_normal(pixels.shape)).clip(0, 1)
    normal = (pixels - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    inside = torch.zeros(14, 14, dtype=torch.bool)
    inside[3:10, 4:11] = True
    images = torch.tensor(normal.transpose(2, 0, 1)[None], dtype=torch.float32)
    return Scene(images, Grid(14, 14, 16), inside.flatten())
