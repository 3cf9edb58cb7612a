from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn.functional import interpolate

import pgsclip
from pgsclip.errors import MaskerError
from pgsclip.masking import exact_transport
from pgsclip.masking.exact_transport import solve_exactly
from pgsclip.masking.transport import solve_potentials


@pytest.fixture
def similarity() -> Tensor:
    vectors = torch.randn(3, 30, 8, generator=torch.Generator().manual_seed(0))
    vectors = vectors / vectors.norm(dim=2, keepdim=True)
    return vectors @ vectors.mT


@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.05])
def test_the_plan_has_uniform_marginals(similarity: Tensor, temperature: float) -> None:
    """In plain float64, from the definition."""
    found = solve_exactly(similarity, temperature).double().numpy()
    for cosines, potential in zip(similarity.double().numpy(), found, strict=True):
        plan = np.exp((cosines + potential[:, None] + potential[None, :]) / temperature) / 30**2
        np.testing.assert_allclose(plan.sum(axis=0), 1 / 30, rtol=2e-5)
        np.testing.assert_allclose(plan.sum(axis=1), 1 / 30, rtol=2e-5)


def test_scaling_among_all_patches_comes_to_the_same(similarity: Tensor) -> None:
    torch.testing.assert_close(solve_potentials(similarity, 0.2, 60), solve_exactly(similarity, 0.2), rtol=0, atol=1e-5)


def test_what_does_not_converge_is_a_sentence(similarity: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_transport, "_ROUNDS", 2)
    with pytest.raises(MaskerError, match=r"masker\.params\.temperature"):
        solve_exactly(similarity, 0.05)


def kept(**params: Any) -> Tensor:
    """Patches of two photographs that pgs keeps at 0.5, the same draws whatever solves the transport."""
    photos = [torch.from_numpy(photo).permute(2, 0, 1) / 255.0 for photo in (data.astronaut(), data.coffee())]
    images = torch.stack([interpolate(photo[None], (224, 224), mode="bicubic", antialias=True)[0] for photo in photos])
    return pgsclip.masker("pgs", **params).keep((images - 0.45) / 0.27, patch_size=16, ratio=0.5, seed=0)


def test_the_fast_solver_keeps_what_the_exact_one_keeps() -> None:
    exact, fast = kept(solver="pot"), kept()
    shared = [len(set(a.tolist()) & set(b.tolist())) / len(a) for a, b in zip(exact, fast, strict=True)]
    assert min(shared) >= 0.93
    plain = [len(set(a.tolist()) & set(b.tolist())) / len(a) for a, b in zip(exact, kept(transport=False), strict=True)]
    assert sum(shared) > sum(plain)
