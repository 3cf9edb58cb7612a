from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.maskers.centered import CenteredMasker, CenteredParams
from pgsclip.masking.selection import select


def _shown(batch: int, rows: int, columns: int, covariance: float = 0.2, seed: int = 0) -> Tensor:
    """(rows, columns): how often a patch is kept at half."""
    generator = torch.Generator().manual_seed(seed)
    images, patches = torch.zeros(batch, 3, rows * 2, columns * 2), torch.zeros(batch, rows * columns, 1)
    masker = CenteredMasker(CenteredParams(covariance=covariance))
    kept = select(masker(MaskInputs(images, patches, Grid(rows, columns, 2), 0.0, generator)).keep, 0.5, generator)
    return torch.bincount(kept.flatten(), minlength=rows * columns).reshape(rows, columns) / batch


def _simulated(draws: int, rows: int, columns: int, covariance: float) -> np.ndarray:
    """The published rule in a loop: keep the top half of U(0, 1) - (1 - pdf), pdf 1 at its peak."""
    chance = np.random.default_rng(1)
    shown = np.zeros((rows, columns))
    pdf = np.array(
        [
            [np.exp(-(y * y + x * x) / (2 * covariance)) for x in np.linspace(-1, 1, columns)]
            for y in np.linspace(-1, 1, rows)
        ]
    )
    for _ in range(draws):
        score = chance.random((rows, columns)) - (1 - pdf)
        shown.flat[np.argsort(-score.ravel())[: round(rows * columns * 0.5)]] += 1
    return shown / draws


def test_patches_are_kept_as_often_as_the_published_rule_keeps_them() -> None:
    ours, rule = _shown(4000, 5, 7).numpy(), _simulated(4000, 5, 7, 0.2)
    np.testing.assert_allclose(ours, rule, atol=5 * (2 * 0.25 / 4000) ** 0.5)


def test_the_middle_stays_more_often_than_the_border_and_sides_are_alike() -> None:
    shown = _shown(4000, 7, 7)
    assert shown[3, 3] > 0.95
    assert shown[0, 0] < shown[1, 1] < shown[2, 2]
    for turned in (shown.flip(0), shown.flip(1), shown.T):
        assert (shown - turned).abs().max() < 0.06


def test_a_wide_gaussian_is_random() -> None:
    assert (_shown(4000, 4, 4, covariance=1e6) - 0.5).abs().max() < 5 * (0.25 / 4000) ** 0.5


def test_each_axis_of_a_long_image_spans_the_whole_gaussian() -> None:
    shown = _shown(4000, 3, 12)
    assert shown[1, 0] < shown[1, 5]
    assert shown[0, 5] < shown[1, 5]
    assert _shown(1, 1, 1).item() == 1
