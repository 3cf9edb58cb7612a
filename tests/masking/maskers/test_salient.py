from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

import pgsclip
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.maskers.salient import SalientMasker, SalientParams, draw_border
from pgsclip.masking.pixels import patchify
from pgsclip.testing import check_masker


def _scores(images: Tensor, grid: Grid, seed: int = 0, **params: Any) -> Any:
    masker = SalientMasker(SalientParams(**params))
    return masker(MaskInputs(images, patchify(images, grid), grid, 0.0, Generator().manual_seed(seed)))


@pytest.mark.parametrize("params", [{}, {"noise": 0.0}, {"border_share": 1.0}, {"smooth": 0.0}])
def test_it_keeps_the_contract(params: dict[str, Any]) -> None:
    check_masker(SalientMasker(SalientParams(**params)), random=params.get("noise") != 0)


def test_the_object_stays_although_views_differ(scene: Any) -> None:
    keep = [pgsclip.masker("salient").keep(scene.images, 16, 0.5, seed)[0] for seed in range(6)]
    assert all(scene.inside[view].sum() >= 48 for view in keep)  # 49 patches of the object
    overlap = np.mean([len(set(a.tolist()) & set(b.tolist())) / 98 for a in keep for b in keep if a is not b])
    assert overlap < 0.9


def test_the_border_is_drawn_from_the_outermost_ring_evenly() -> None:
    grid = Grid(4, 5, 8)
    ring = [place for place in range(20) if place // 5 in (0, 3) or place % 5 in (0, 4)]
    drawn = draw_border(grid, 4000, 0.5, Generator().manual_seed(0))
    assert drawn.shape == (4000, 7)
    counts = torch.bincount(drawn.flatten(), minlength=20) / 4000
    assert counts[[place for place in range(20) if place not in ring]].eq(0).all()
    assert (counts[ring] - 0.5).abs().max() < 5 * (0.25 / 4000) ** 0.5
    assert all(len(row.unique()) == 7 for row in drawn[:50])


@pytest.mark.parametrize(("rows", "columns", "share", "wanted"), [(1, 2, 0.5, 2), (1, 9, 0.1, 4), (14, 14, 1.0, 52)])
def test_small_borders_are_taken_whole(rows: int, columns: int, share: float, wanted: int) -> None:
    assert draw_border(Grid(rows, columns, 4), 2, share, Generator().manual_seed(0)).shape == (2, wanted)


@pytest.mark.parametrize("change", [{"colour": 0.0}, {"texture": 0.0}, {"smooth": 0.0}, {"noise": 1.0}])
def test_every_parameter_counts(scene: Any, change: dict[str, Any]) -> None:
    before, after = (_scores(scene.images, scene.grid, **params).keep for params in ({}, change))
    assert not torch.allclose(before, after)


def test_more_noise_gives_views_that_differ_more(scene: Any) -> None:
    def overlap(noise: float) -> float:
        a, b = (pgsclip.masker("salient", noise=noise).keep(scene.images, 16, 0.5, seed)[0] for seed in (0, 1))
        return len(set(a.tolist()) & set(b.tolist())) / 98

    assert overlap(0.0) > overlap(0.5) > overlap(5.0)


def test_an_image_with_more_background_asks_for_a_higher_ratio(scene: Any) -> None:
    wide = scene.images.clone()
    wide[:, :, 32:192, 32:192] = scene.images[:, :, 48:160, 64:176].repeat(1, 1, 2, 2)[:, :, :160, :160]
    small, large = (_scores(images, scene.grid).ratio.item() for images in (scene.images, wide))
    assert large + 0.2 < small < 0.8, "49 and 100 of 196 patches are object"
    assert _scores(scene.images, scene.grid, background_quantile=0.5).ratio.item() < small


def test_one_patch_and_flat_pictures_fall_by_chance() -> None:
    one = torch.randn(3, 3, 16, 16)
    assert _scores(one, Grid(1, 1, 16)).keep.eq(0).all()
    assert _scores(one, Grid(1, 1, 16)).ratio.eq(0).all()
    flat = torch.full((200, 3, 32, 32), 0.3)
    kept = torch.bincount(pgsclip.masker("salient").keep(flat, 8, 0.5).flatten(), minlength=16) / 200
    assert (kept - 0.5).abs().max() < 5 * (0.25 / 200) ** 0.5
