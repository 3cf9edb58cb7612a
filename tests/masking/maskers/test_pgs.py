from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

import pgsclip
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.edges import sobel_edges
from pgsclip.masking.maskers.pgs import PgsExplanation, PgsMasker, PgsParams
from pgsclip.masking.pixels import patchify
from pgsclip.masking.similarity import cosine
from pgsclip.masking.transport import balance_similarity, solve_potentials

GRID = Grid(4, 6, 8)
OFF = {"edges": False, "transport": False, "use_embeddings": False}


def _explained(
    images: Tensor, patches: Tensor, grid: Grid = GRID, *, seed: int = 0, progress: float = 0.0, **params: Any
) -> PgsExplanation:
    inputs = MaskInputs(images, patches, grid, progress, Generator().manual_seed(seed))
    return PgsMasker(PgsParams(**params)).explain(inputs)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor]:
    chance = Generator().manual_seed(1)
    return torch.randn(2, 3, 32, 48, generator=chance), torch.randn(2, 24, 10, generator=chance)


def _recall(kept: Tensor, inside: Tensor) -> float:
    """Share of the object's patches that survive."""
    return sum(float(inside[row].sum()) for row in kept) / (len(kept) * float(inside.sum()))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"edges": "canny"},
        {"transport": False},
        {"use_embeddings": False},
        {"transport": False, "use_embeddings": False},
    ],
)
def test_with_edges_the_object_stays_and_the_sky_goes(scene: Any, params: dict[str, Any]) -> None:
    images = scene.images.expand(8, -1, -1, -1)
    ours = _recall(pgsclip.masker("pgs", **params).keep(images, 16, 0.5), scene.inside)
    chance = _recall(pgsclip.masker("random").keep(images, 16, 0.5), scene.inside)
    assert chance < 0.6
    assert ours > 0.95


def test_candidates_sit_below_the_median_edge(scene: Any) -> None:
    for seed in range(10):
        found = _explained(scene.images, patchify(scene.images, scene.grid), scene.grid, seed=seed)
        assert found.candidates.shape == (1, 10)
        assert len(found.candidates.unique()) == 10
        assert found.edges[0, found.candidates[0]].max() <= found.edges.median()


def test_the_border_bias_reaches_the_candidates(scene: Any) -> None:
    patches = patchify(scene.images, scene.grid)
    border = {place for place in range(196) if place % 14 in (0, 13) or place // 14 in (0, 13)}
    drawn = _explained(scene.images, patches, scene.grid, border_bias=30.0).candidates[0].tolist()
    assert set(drawn) <= border


@pytest.mark.parametrize("growth", ["mean", "max"])
def test_scores_are_edges_against_the_scaled_similarity_to_the_candidates(
    inputs: tuple[Tensor, Tensor], growth: str
) -> None:
    images, patches = inputs
    for transport in (False, True):
        found = _explained(images, patches, transport=transport, edge_weight=0.7, candidate_share=0.2, growth=growth)
        averaged = images.reshape(2, 3, 16, 2, 24, 2).mean(dim=(3, 5))  # a patch of 8 pixels as 4 squares a side
        whole = cosine(patchify(averaged, Grid(4, 6, 4)))
        if transport:
            potential = solve_potentials(whole, 0.2, 11)  # 24 patches are fewer than 49: all are landmarks
            whole = balance_similarity(whole, potential, torch.arange(24).expand(2, -1))
        for image in range(2):
            rows = whole[image, found.candidates[image]]
            nearest = rows.sum(dim=0) if growth == "mean" else rows.amax(dim=0)
            scaled = (nearest - nearest.min()) / (nearest.max() - nearest.min())
            torch.testing.assert_close(found.similarity[image], scaled, rtol=0, atol=1e-4 if transport else 1e-5)
        torch.testing.assert_close(found.scores.keep, 0.7 * found.edges - found.similarity, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.edges, sobel_edges(images, Grid(4, 6, 8), 1.0))


def test_without_transport_candidates_go_first(inputs: tuple[Tensor, Tensor]) -> None:
    found = _explained(*inputs, **OFF)
    for scores, candidates in zip(found.scores.keep, found.candidates, strict=True):
        assert scores[candidates].max() == scores.min() == -1


@pytest.mark.parametrize(
    "change",
    [
        {"edges": False},
        {"edges": "canny"},
        {"transport": False},
        {"use_embeddings": False},
        {"edge_weight": 0.3},
        {"edge_scale": 0.0},
        {"detail": 8},
        {"landmarks": 6},
    ],
)
def test_every_switch_changes_the_scores(inputs: tuple[Tensor, Tensor], change: dict[str, Any]) -> None:
    before, after = (_explained(*inputs, progress=0.5, **params).scores.keep for params in ({}, change))
    assert torch.isfinite(after).all()
    assert not torch.allclose(before, after)


def test_true_means_sobel(inputs: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(_explained(*inputs, edges=True).scores.keep, _explained(*inputs).scores.keep)


@pytest.mark.parametrize("transport", [False, True])
def test_pixels_count_at_the_start_of_a_run_and_embeddings_at_its_end(
    inputs: tuple[Tensor, Tensor], transport: bool
) -> None:
    images, patches = inputs
    other_images, other_patches = torch.randn_like(images), torch.randn_like(patches)
    switches: dict[str, Any] = {"edges": False, "transport": transport}
    start = _explained(images, patches, progress=0.0, **switches).scores.keep
    end = _explained(images, patches, progress=1.0, **switches).scores.keep
    assert torch.equal(start, _explained(images, other_patches, progress=0.0, **switches).scores.keep)
    assert torch.equal(end, _explained(other_images, patches, progress=1.0, **switches).scores.keep)
    assert not torch.allclose(start, end)
    pixels_only = _explained(images, patches, progress=1.0, **{**switches, "use_embeddings": False}).scores.keep
    assert torch.equal(pixels_only, start)


def test_a_call_is_the_explanation_and_draws_as_much(inputs: tuple[Tensor, Tensor]) -> None:
    masker = PgsMasker(PgsParams())
    called, explained = Generator().manual_seed(4), Generator().manual_seed(4)
    scores = masker(MaskInputs(*inputs, GRID, 0.2, called))
    found = masker.explain(MaskInputs(*inputs, GRID, 0.2, explained))
    assert torch.equal(scores.keep, found.scores.keep)
    assert torch.equal(called.get_state(), explained.get_state())


def test_under_a_range_an_image_removes_what_looks_like_its_candidates(scene: Any) -> None:
    busy = torch.randn(scene.images.shape, generator=Generator().manual_seed(0))
    images = torch.cat([scene.images, busy])
    ratio = _explained(images, patchify(images, scene.grid), scene.grid).scores.ratio
    assert ratio is not None
    assert ratio[0] > 0.5, "sky around one object"
    assert ratio[1] < 0.2, "nothing in noise looks like anything else"
    kept = pgsclip.masker("pgs").keep(images, 16, (0.3, 0.5))
    assert [len(row) for row in kept] == [98, 137]


def test_a_higher_threshold_removes_less(scene: Any) -> None:
    patches = patchify(scene.images, scene.grid)
    low, high = (_explained(scene.images, patches, scene.grid, threshold=value).scores.ratio for value in (0.2, 0.999))
    assert low is not None
    assert high is not None
    assert low > high


@pytest.mark.parametrize("params", [{}, {"transport": False}])
def test_a_constant_image_scores_every_patch_alike(params: dict[str, Any]) -> None:
    images = torch.tensor([0.713, 0.31, -0.2]).reshape(1, 3, 1, 1).expand(2, 3, 56, 56)
    found = _explained(images, patchify(images, Grid(7, 7, 8)), Grid(7, 7, 8), **params)
    assert found.scores.keep.eq(0).all()


def test_edges_hold_patches_back_from_the_ratio_too(scene: Any) -> None:
    patches = patchify(scene.images, scene.grid)
    found = _explained(scene.images, patches, scene.grid, edge_weight=2.0, threshold=-0.9)
    averaged = patchify(F.interpolate(scene.images, (56, 56), mode="area"), Grid(14, 14, 4))
    nearest = cosine(averaged)[0, found.candidates[0]].amax(dim=0)
    asked = (nearest - 2 * found.edges[0] > -0.9).float().mean()
    assert found.scores.ratio is not None
    torch.testing.assert_close(found.scores.ratio[0], asked)
    assert asked < (nearest > -0.9).float().mean()
