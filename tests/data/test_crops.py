from __future__ import annotations

import io
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

from pgsclip.data.crops import Box, TrainCrop, draw_box


def crop(size: tuple[int, int] = (32, 32), scale: tuple[float, float] = (0.9, 1.0)) -> TrainCrop:
    return TrainCrop(size, scale)


def scene(width: int, height: int) -> Image.Image:
    """Waves of many lengths: smooth and fine parts as in a photograph."""
    y, x = np.mgrid[:height, :width] / 60
    bright = [np.sin(x * (k + 1) + 2 * y) + np.cos(3 * y * (k + 1)) * np.sin(x * y / 5) for k in range(3)]
    return Image.fromarray((np.stack(bright, axis=-1) * 60 + 128).clip(0, 255).astype(np.uint8))


def stored(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return Image.open(io.BytesIO(content.getvalue()))


def levels(pixels: torch.Tensor) -> np.ndarray:
    """(H, W, 3)"""
    return pixels.permute(1, 2, 0).double().numpy()


def by_pillow(image: Image.Image, box: Box, size: tuple[int, int]) -> np.ndarray:
    cut = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    return np.asarray(cut.resize(size[::-1], Image.Resampling.BICUBIC)).astype(float)


@pytest.mark.parametrize(("width", "height"), [(50, 40), (300, 200), (33, 500), (20, 20)])
@pytest.mark.parametrize("size", [(32, 32), (16, 48)])
def test_it_is_pillow_s_antialiased_bicubic_to_one_level(width: int, height: int, size: tuple[int, int]) -> None:
    image = scene(width, height)
    for seed in range(5):
        box = draw_box(width, height, (0.2, 1.0), random.Random(seed))
        found = levels(crop(size, (0.2, 1.0))(stored(image, "png"), random.Random(seed)))
        assert np.abs(found - by_pillow(image, box, size)).max() < 1.01


@pytest.mark.parametrize(("times", "factor"), [(2.5, 2), (4.7, 4), (9.4, 8), (20, 8)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_decoded_small_looks_the_same(times: float, factor: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = scene(round(64 * times) // 8 * 8, round(66 * times) // 8 * 8)
    photo = stored(image, "jpeg", quality=95, exif=exif)
    upright = ImageOps.exif_transpose(stored(image, "jpeg", quality=95, exif=exif).convert("RGB"))
    box = draw_box(*upright.size, (0.95, 1.0), random.Random(3)).divided(factor)
    found = levels(crop((64, 64), (0.95, 1.0))(photo, random.Random(3)))
    assert photo.size == (image.width // factor, image.height // factor), "it was decoded small"
    expected = by_pillow(upright, Box(*(factor * side for side in box)), (64, 64))
    assert 10 * math.log10(255**2 / np.mean((found - expected) ** 2)) > 40


@pytest.mark.parametrize("side", [15, 16, 17, 101, 103])
def test_odd_sides_are_decoded_by_the_factor_that_is_counted_on(side: int) -> None:
    look = crop((2, 2), (1.0, 1.0))
    for factor in (2, 4):
        photo = stored(Image.new("RGB", (side, side)), "jpeg")
        look._shrunk(photo, Box(0, 0, 2 * factor, 2 * factor))
        assert photo.size == (-(-side // factor), -(-side // factor))


def test_a_jpeg_that_is_not_much_larger_is_decoded_whole() -> None:
    image = scene(120, 120)
    found = levels(crop((64, 64))(stored(image, "jpeg"), random.Random(0)))
    box = draw_box(120, 120, (0.9, 1.0), random.Random(0))
    assert np.abs(found - by_pillow(stored(image, "jpeg").convert("RGB"), box, (64, 64))).max() < 1.01


@pytest.mark.parametrize("shape", [(60, 90), (200, 30)])
def test_boxes_fall_as_torchvision_s(shape: tuple[int, int]) -> None:
    width, height = shape
    chance = random.Random(0)
    ours = np.array([draw_box(width, height, (0.2, 1.0), chance) for _ in range(3000)])
    torch.manual_seed(0)
    blank = Image.new("RGB", shape)
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)])
    for mine, other in ((0, 1), (1, 0), (2, 3), (3, 2)):  # theirs are top, left, height, width
        assert ks_2samp(ours[:, mine], theirs[:, other], method="asymp").pvalue > 1e-4


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0.01, 1), st.integers(0, 99))
def test_boxes_lie_within_the_image(width: int, height: int, low: float, seed: int) -> None:
    box = draw_box(width, height, (low, 1.0), random.Random(seed))
    assert box.width > 0 < box.height
    assert 0 <= box.left <= width - box.width
    assert 0 <= box.top <= height - box.height


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 99), st.sampled_from(["jpeg", "png", "webp"]))
def test_images_of_any_shape_become_the_size_that_is_wanted(width: int, height: int, seed: int, kind: str) -> None:
    pixels = crop((12, 20), (0.05, 1.0))(stored(Image.new("RGB", (width, height), "red"), kind), random.Random(seed))
    assert pixels.shape == (3, 12, 20)
    assert pixels.is_contiguous()
    assert np.abs(levels(pixels) - (255, 0, 0)).max() < 6


def test_chance_decides_and_nothing_else() -> None:
    image, before = scene(90, 80), torch.get_rng_state()
    first, again, other = (crop(scale=(0.3, 1.0))(stored(image, "png"), random.Random(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
