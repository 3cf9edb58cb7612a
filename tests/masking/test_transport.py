from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.maskers.pgs import PgsParams
from pgsclip.masking.similarity import cosine
from pgsclip.masking.transport import balance_similarity, solve_potentials, spread_patches

TEMPERATURE, ITERATIONS = PgsParams().temperature, PgsParams().iterations


def _similarity(batch: int, patches: int, width: int = 6) -> Tensor:
    """Cosines of few dimensions with a common direction: hubs and loners, as images have them."""
    chance = torch.Generator().manual_seed(3)
    return cosine(torch.randn(batch, patches, width, generator=chance) + 0.3)


def _balanced(similarity: Tensor, temperature: float, iterations: int) -> Tensor:
    """Of all patches, from the rows of all."""
    everything = torch.arange(similarity.shape[1]).expand(len(similarity), -1)
    return balance_similarity(similarity, solve_potentials(similarity, temperature, iterations), everything)


def _plan(similarity: Tensor, temperature: float, iterations: int) -> Tensor:
    """From the balanced similarity back to masses."""
    return torch.exp(_balanced(similarity, temperature, iterations) / temperature) / similarity.shape[1] ** 2


def _pot_plan(similarity: Tensor, temperature: float) -> np.ndarray:
    rows, columns = similarity.shape
    return ot.sinkhorn(
        np.full(rows, 1 / rows),
        np.full(columns, 1 / columns),
        -similarity.double().numpy(),
        reg=temperature,
        method="sinkhorn_log",
        numItermax=20000,
        stopThr=1e-12,
    )


@pytest.mark.parametrize("temperature", [0.1, 0.5, 5.0])
def test_the_plan_agrees_with_pot(temperature: float) -> None:
    for similarity in _similarity(2, 24):
        ours = _plan(similarity[None], temperature, 200)[0].numpy()
        np.testing.assert_allclose(ours, _pot_plan(similarity, temperature), rtol=1e-3, atol=1e-7)


def test_default_settings_meet_both_marginals() -> None:
    plan = _plan(_similarity(3, 196, width=768), TEMPERATURE, ITERATIONS)
    assert plan.gt(0).all()
    torch.testing.assert_close(plan.sum(dim=1) * 196, torch.ones(3, 196), rtol=0, atol=1e-3)
    torch.testing.assert_close(plan.sum(dim=2) * 196, torch.ones(3, 196), rtol=0, atol=1e-3)


def test_default_rounds_are_close_to_the_limit_on_a_hard_image() -> None:
    similarity = _similarity(1, 49)
    short, long = (_plan(similarity, TEMPERATURE, rounds) for rounds in (ITERATIONS, 5000))
    assert (short.sum(dim=2) * 49 - 1).abs().max() < 1e-3
    order, limit = short.flatten().argsort().argsort().double(), long.flatten().argsort().argsort().double()
    assert torch.corrcoef(torch.stack([order, limit]))[0, 1] > 0.999


@pytest.mark.parametrize("temperature", [0.04, 0.1, 100.0])
def test_extreme_temperatures_stay_finite(temperature: float) -> None:
    similarity = torch.eye(30)[None] * 2 - 1  # cosines from -1 to 1, as far apart as they can be
    balanced = _balanced(similarity, temperature, ITERATIONS)
    assert torch.isfinite(balanced).all()
    torch.testing.assert_close(_plan(similarity, temperature, ITERATIONS).sum(), torch.tensor(1.0))


def test_a_hot_plan_is_uniform_and_a_cold_one_is_sharp() -> None:
    similarity = _similarity(1, 12)
    hot, cold = (_plan(similarity, temperature, 200)[0] for temperature in (1000.0, 0.04))
    torch.testing.assert_close(hot, torch.full((12, 12), 1 / 144), rtol=0.01, atol=0)
    assert cold.diagonal().sum() > 0.9


def test_bfloat16_is_balanced_in_float32() -> None:
    similarity = _similarity(1, 32).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plan = _plan(similarity, TEMPERATURE, 100)
    assert plan.dtype == torch.float32
    torch.testing.assert_close(plan, _plan(similarity.float(), TEMPERATURE, 100))
    torch.testing.assert_close(plan.sum(dim=1), torch.full((1, 32), 1 / 32), rtol=1e-4, atol=0)


def test_balancing_takes_from_hubs_and_gives_to_loners() -> None:
    alike = torch.ones(9, 4) + 0.01 * torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    loner = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    similarity = cosine(torch.cat([alike, loner])[None])
    change = (_balanced(similarity, TEMPERATURE, 500) - similarity)[0]
    assert change[9, :9].min() > change[:9, :9].max()


def test_balanced_similarity_of_balanced_cosines_is_a_shift() -> None:
    ring = torch.stack([torch.tensor([np.cos(a), np.sin(a)]) for a in np.linspace(0, 2 * np.pi, 8, endpoint=False)])
    similarity = cosine(ring.float()[None])
    difference = _balanced(similarity, 0.3, 50) - similarity
    torch.testing.assert_close(difference, difference[:, :1, :1].expand_as(difference), rtol=0, atol=1e-5)


def test_balanced_similarity_is_the_logarithm_of_the_plan_beside_a_uniform_one() -> None:
    similarity = _similarity(1, 16)
    expected = 0.2 * np.log(256 * _pot_plan(similarity[0], 0.2))
    np.testing.assert_allclose(_balanced(similarity, 0.2, 1000)[0].numpy(), expected, atol=1e-3)
    uniform = _balanced(torch.full((1, 9, 9), 0.4), TEMPERATURE, 1)
    torch.testing.assert_close(uniform, torch.zeros(1, 9, 9), rtol=0, atol=1e-6)


def test_rows_that_are_asked_for_are_those_of_the_whole() -> None:
    similarity = _similarity(3, 30)
    rows = torch.tensor([[4, 29], [0, 1], [7, 7]])
    whole = _balanced(similarity, TEMPERATURE, ITERATIONS)
    wanted = torch.stack([similarity[image, rows[image]] for image in range(3)])
    found = balance_similarity(wanted, solve_potentials(similarity, TEMPERATURE, ITERATIONS), rows)
    for image in range(3):
        assert torch.equal(found[image], whole[image, rows[image]])


def test_against_landmarks_every_row_is_balanced_and_theirs_are_as_pot_has_them() -> None:
    similarity, landmarks = _similarity(2, 30), torch.tensor([0, 3, 4, 11, 12, 17, 21, 28])
    found = solve_potentials(similarity[:, landmarks], TEMPERATURE, 200, landmarks)
    for given, potential in zip(similarity, found, strict=True):
        density = torch.exp((given + potential[:, None] + potential[None]) / TEMPERATURE)[:, landmarks]
        torch.testing.assert_close(density.mean(dim=1), torch.ones(30), rtol=1e-4, atol=0)
        theirs = _pot_plan(given[landmarks][:, landmarks], TEMPERATURE) * len(landmarks) ** 2
        np.testing.assert_allclose(density[landmarks].numpy(), theirs, rtol=1e-3)


def test_all_patches_as_landmarks_are_the_whole() -> None:
    similarity = _similarity(2, 25)
    whole = solve_potentials(similarity, TEMPERATURE, 300)
    torch.testing.assert_close(
        solve_potentials(similarity, TEMPERATURE, 300, torch.arange(25)), whole, rtol=0, atol=1e-5
    )


def test_patches_that_look_like_landmarks_get_their_potential() -> None:
    chance = torch.Generator().manual_seed(0)
    vectors = (torch.randn(1, 12, 6, generator=chance) + 0.3).repeat_interleave(4, dim=1)  # each look four times
    similarity, landmarks = cosine(vectors), torch.arange(0, 48, 4)
    found = solve_potentials(similarity[:, landmarks], TEMPERATURE, 300, landmarks)
    torch.testing.assert_close(found, solve_potentials(similarity, TEMPERATURE, 300), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("grid", "wanted", "rows", "columns"),
    [
        (Grid(14, 14, 16), 49, [1, 3, 5, 7, 9, 11, 13], [1, 3, 5, 7, 9, 11, 13]),
        (Grid(7, 7, 32), 49, list(range(7)), list(range(7))),
        (Grid(24, 20, 14), 49, list(range(1, 24, 3)), list(range(1, 20, 3))),
        (Grid(2, 3, 8), None, [0, 1], [0, 1, 2]),
        (Grid(9, 1, 8), 1, list(range(9)), [0]),
        (Grid(5, 5, 8), 1, [2], [2]),
    ],
)
def test_landmarks_are_spread_evenly(grid: Grid, wanted: int | None, rows: list[int], columns: list[int]) -> None:
    expected = [row * grid.columns + column for row in rows for column in columns]
    assert spread_patches(grid, wanted, torch.device("cpu")).tolist() == expected
