from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from pgsclip.grid import Grid
from pgsclip.masking.candidates import draw_candidates, nearness_to_border


@pytest.mark.parametrize(
    ("count", "share", "wanted"), [(196, 0.05, 10), (196, 0.001, 1), (9, 0.8, 7), (1, 0.05, 1), (5, 1.0, 5)]
)
def test_candidates_are_the_calmest_as_many_as_asked_for(count: int, share: float, wanted: int) -> None:
    edges = torch.rand(3, count, generator=Generator().manual_seed(0))
    found = draw_candidates(edges, share, Generator().manual_seed(0))
    assert found.shape == (3, wanted)
    pool = max(wanted, count // 2)
    for row, candidates in zip(edges, found, strict=True):
        assert len(candidates.unique()) == wanted
        assert row[candidates].max() <= row.sort().values[pool - 1]


def test_every_calm_patch_becomes_candidate_equally_often() -> None:
    edges = torch.cat([torch.zeros(4000, 10), torch.ones(4000, 10)], dim=1)
    drawn = torch.bincount(draw_candidates(edges, 0.1, Generator().manual_seed(0)).flatten(), minlength=20) / 4000
    assert drawn[10:].eq(0).all()
    assert (drawn[:10] - 0.2).abs().max() < 5 * (0.16 / 4000) ** 0.5


def test_a_pull_draws_candidates_from_the_rim() -> None:
    bias = 2 * nearness_to_border(Grid(1, 3, 8), torch.device("cpu"))
    assert bias.tolist() == [2.0, 2.0, 2.0], "a line of patches is all border"
    bias = 2 * nearness_to_border(Grid(3, 3, 8), torch.device("cpu"))
    assert bias.tolist() == [2.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    edges = torch.cat([torch.zeros(4000, 9), torch.ones(4000, 9)], dim=1)
    drawn = draw_candidates(edges, 0.05, Generator().manual_seed(0), torch.cat([bias, bias]))
    middle = drawn.eq(4).float().mean()
    expected = 1 / (1 + 8 * math.exp(2))
    assert abs(middle - expected) < 5 * (expected / 4000) ** 0.5
    assert drawn.max() < 9, "the median edge is never crossed"


def test_without_edges_any_patch_becomes_candidate() -> None:
    drawn = torch.bincount(
        draw_candidates(torch.zeros(4000, 10), 0.1, Generator().manual_seed(0)).flatten(), minlength=10
    )
    assert (drawn / 4000 - 0.1).abs().max() < 5 * (0.09 / 4000) ** 0.5
