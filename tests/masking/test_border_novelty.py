from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator

from pgsclip.grid import Grid
from pgsclip.masking.border_novelty import appearance, novelty, smooth
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD


def test_appearance_is_mean_deviation_and_gradient_in_float64() -> None:
    chance = np.random.default_rng(0)
    rgb = chance.random((1, 3, 8, 12))
    mean, std = np.reshape(CLIP_MEAN, (1, 3, 1, 1)), np.reshape(CLIP_STD, (1, 3, 1, 1))
    found = appearance(torch.tensor((rgb - mean) / std, dtype=torch.float32), Grid(2, 3, 4), 2.0, 0.5)[0].numpy()
    red, green, blue = rgb[0]
    bright = (red + green + blue) / 3
    channels = [bright, 2 * (red - green), 2 * ((red + green) / 2 - blue)]
    across, down = np.zeros_like(bright), np.zeros_like(bright)
    across[:, :-1], down[:-1] = np.abs(np.diff(bright, axis=1)), np.abs(np.diff(bright, axis=0))
    for place in range(6):
        cut = np.s_[place // 3 * 4 : place // 3 * 4 + 4, place % 3 * 4 : place % 3 * 4 + 4]
        expected = [c[cut].mean() for c in channels] + [0.5 * c[cut].std() for c in channels]
        expected += [0.5 * across[cut].mean(), 0.5 * down[cut].mean()]
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_novelty_is_the_negative_log_density_in_the_borders_own_distances() -> None:
    appearances = torch.randn(2, 12, 3, generator=Generator().manual_seed(1))
    border = torch.tensor([[0, 3, 5, 8, 11], [1, 2, 3, 4, 9]])
    found = novelty(appearances, border)
    for image in range(2):
        points = appearances[image].double().numpy()
        others, drawn = points[border[image]], border[image].tolist()
        own = []
        for place in drawn:
            away = sorted(np.linalg.norm(points[place] - o) for o, r in zip(others, drawn, strict=True) if r != place)
            own.append(np.mean(away[:3]))
        scale = np.median(own) + 0.02
        for place in range(12):
            away = [np.linalg.norm(points[place] - o) for o, r in zip(others, drawn, strict=True) if r != place]
            density = sum(math.exp(-d / (2 * scale)) for d in away)
            assert found[image, place].item() == pytest.approx(math.log(5) - math.log(density), abs=1e-4)


def test_smoothing_blends_with_the_neighbourhood() -> None:
    values = torch.zeros(1, 9)
    values[0, 4] = 9.0
    assert smooth(values, Grid(3, 3, 8), 0.5).tolist() == [[0.5, 0.5, 0.5, 0.5, 5.0, 0.5, 0.5, 0.5, 0.5]]
    assert torch.equal(smooth(values, Grid(3, 3, 8), 0.0), values)
