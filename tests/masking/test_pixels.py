from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pgsclip.grid import Grid
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD, coarsen, luminance, patch_means, patchify, shrink


def test_patches_are_cut_as_a_strided_convolution_sees_them() -> None:
    images = torch.randn(2, 3, 12, 20)
    kernel = torch.randn(5, 3, 4, 4)
    embedded = F.conv2d(images, kernel, stride=4).flatten(2).mT
    torch.testing.assert_close(patchify(images, Grid(3, 5, 4)) @ kernel.flatten(1).T, embedded, rtol=1e-4, atol=1e-4)


def test_patch_means_are_the_means_of_the_pixels_of_a_patch() -> None:
    values = torch.randn(2, 12, 20)
    means = patch_means(values, Grid(3, 5, 4))
    for row in range(3):
        for column in range(5):
            piece = values[:, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
            torch.testing.assert_close(means[:, row * 5 + column], piece.mean(dim=(1, 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_luminance_undoes_the_normalisation(dtype: torch.dtype) -> None:
    rgb = np.random.default_rng(0).random((8, 8, 3), np.float32)
    normal = torch.tensor((rgb - CLIP_MEAN) / CLIP_STD).permute(2, 0, 1).unsqueeze(0).to(dtype)
    gray = luminance(normal)
    assert gray.dtype == torch.float32
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    np.testing.assert_allclose(gray[0].numpy(), cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), atol=tolerance)


@pytest.mark.parametrize(
    ("side", "cells", "square"), [(16, 4, 4), (16, 5, 2), (14, 4, 2), (7, 4, 1), (2, 4, 1), (32, 1, 32)]
)
def test_shrunk_is_area_averaging_as_opencv_has_it(side: int, cells: int, square: int) -> None:
    images = torch.randn(2, 3, 2 * side, 3 * side)
    grid, small = Grid(2, 3, side), coarsen(Grid(2, 3, side), cells)
    assert small == Grid(2, 3, side // square)
    found = shrink(images, grid, small)
    for ours, image in zip(found, images, strict=True):
        size = (3 * side // square, 2 * side // square)
        theirs = cv2.resize(image.permute(1, 2, 0).numpy(), size, interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(ours.permute(1, 2, 0).numpy(), theirs, atol=1e-5)
