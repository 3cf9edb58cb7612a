from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import filters
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.edges import canny_edges, sobel_edges, sobel_magnitude
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD


def _normalised(gray: np.ndarray) -> Tensor:
    """An image that is grey in RGB, as a model gets it."""
    mean, std = (torch.tensor(value).reshape(1, 3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    return (torch.from_numpy(gray).float().expand(1, 3, -1, -1) - mean) / std


def test_sobel_agrees_with_opencv_up_to_the_border() -> None:
    gray = np.random.default_rng(0).random((17, 23), np.float32)
    across, down = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    ours = sobel_magnitude(torch.from_numpy(gray)[None])[0].numpy()
    np.testing.assert_allclose(ours, np.hypot(across, down), rtol=1e-4, atol=1e-5)


def test_sobel_agrees_with_scikit_image_inside() -> None:
    gray = np.random.default_rng(1).random((20, 16), np.float32)
    theirs = filters.sobel(gray) * 4 * np.sqrt(2)  # it divides the kernels by 4 and the length by sqrt(2)
    ours = sobel_magnitude(torch.from_numpy(gray)[None])[0].numpy()
    np.testing.assert_allclose(ours[1:-1, 1:-1], theirs[1:-1, 1:-1], rtol=1e-4, atol=1e-5)


def test_patch_edges_are_opencv_means_scaled_to_the_strongest() -> None:
    gray = np.random.default_rng(2).random((24, 40), np.float32)
    length = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    means = length.reshape(3, 8, 5, 8).mean(axis=(1, 3)).ravel()
    edges = sobel_edges(_normalised(gray), Grid(3, 5, 8))
    assert edges.max() == 1
    np.testing.assert_allclose(edges[0].numpy(), means / means.max(), atol=1e-4)


@pytest.mark.parametrize(("scale", "square"), [(0.0, 1), (0.3, 2), (0.5, 4), (0.9, 4), (1.0, 8)])
def test_a_scale_takes_the_gradient_of_means_of_squares(scale: float, square: int) -> None:
    gray = np.random.default_rng(5).random((24, 40), np.float32)
    small = np.ascontiguousarray(gray.reshape(24 // square, square, 40 // square, square).mean(axis=(1, 3)))
    length = np.hypot(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
    means = length.reshape(3, 8 // square, 5, 8 // square).mean(axis=(1, 3)).ravel()
    edges = sobel_edges(_normalised(gray), Grid(3, 5, 8), scale)
    np.testing.assert_allclose(edges[0].numpy(), means / means.max(), atol=1e-4)


def test_canny_edges_are_shares_of_opencv_pixels() -> None:
    gray = np.zeros((32, 48), np.float32)
    gray[8:24, 20:40] = 1
    found = cv2.Canny((gray * 255).astype(np.uint8), 100, 200) > 0
    shares = found.reshape(4, 8, 6, 8).mean(axis=(1, 3)).ravel()
    edges = canny_edges(_normalised(gray), Grid(4, 6, 8))
    np.testing.assert_allclose(edges[0].numpy(), shares / shares.max(), atol=1e-6)
    assert (edges > 0).any()
    assert (edges == 0).any()


def test_canny_thresholds_count() -> None:
    gray = np.full((16, 16), 0.4, np.float32)
    gray[:, 8:] = 0.55
    images, grid = _normalised(gray), Grid(2, 2, 8)
    assert canny_edges(images, grid).eq(0).all()
    assert canny_edges(images, grid, low=20.0, high=40.0).any()


@pytest.mark.parametrize("edges", [sobel_edges, canny_edges])
@pytest.mark.parametrize("level", [0.0, 0.37, 1.0])
def test_a_flat_image_has_no_edges_not_even_rounding_noise(edges: object, level: float) -> None:
    assert callable(edges)
    noise = np.random.default_rng(4).uniform(-3e-7, 3e-7, (16, 24)).astype(np.float32)
    assert edges(_normalised(level + noise), Grid(2, 3, 8)).eq(0).all()


def test_scale_is_per_image() -> None:
    strong = _normalised(np.random.default_rng(3).random((16, 16), np.float32))
    both = sobel_edges(torch.cat([strong, strong * 0.1]), Grid(2, 2, 8))
    torch.testing.assert_close(both[0], both[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 8), (8, 1), (2, 2)])
def test_images_of_a_pixel_or_a_line_have_edges_too(height: int, width: int) -> None:
    edges = sobel_edges(torch.randn(2, 3, height, width), Grid(height, width, 1))
    assert edges.shape == (2, height * width)
    assert torch.isfinite(edges).all()
