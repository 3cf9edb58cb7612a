from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs, MaskScores
from pgsclip.masking.maskers.cluster import ClusterMasker, ClusterParams, standardise
from pgsclip.masking.pixels import patchify

GRID = Grid(4, 6, 8)


def _scored(images: Tensor, patches: Tensor, *, seed: int = 0, progress: float = 0.0, **params: object) -> MaskScores:
    masker = ClusterMasker(ClusterParams.model_validate(params))
    return masker(MaskInputs(images, patches, GRID, progress, torch.Generator().manual_seed(seed)))


def _inputs() -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(2)
    return torch.randn(2, 3, 32, 48, generator=chance), torch.randn(2, 24, 10, generator=chance)


def test_the_patches_most_like_the_anchor_go_first() -> None:
    images, patches = _inputs()
    kept = _scored(images, patches, anchor_share=0.01).keep
    pixels = patchify(images, GRID).double().numpy()
    for image, scores in zip(pixels, kept, strict=True):
        anchor = int(scores.argmin())
        expected = [-np.corrcoef(image[anchor], other)[0, 1] for other in image]
        np.testing.assert_allclose(scores.numpy(), expected, atol=2e-5)


def test_a_twin_of_the_anchor_goes_with_it() -> None:
    images, patches = _inputs()
    images[:, :, 8:16, 16:24] = images[:, :, :8, :8] * 2 + 1  # another brightness and contrast, the same pattern
    for seed in range(30):
        scores = _scored(images, patches, anchor_share=0.01, seed=seed).keep[0]
        assert scores[0] == pytest.approx(scores[8].item(), abs=1e-4)
        if scores.argmin() in (0, 8):
            assert scores[0] == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize(("share", "anchors"), [(0.01, 1), (0.25, 6), (1.0, 24)])
def test_as_many_anchors_as_asked_for(share: float, anchors: int) -> None:
    kept = _scored(*_inputs(), anchor_share=share).keep
    assert (kept < -0.9999).sum(dim=1).tolist() == [anchors, anchors]


def test_under_a_range_the_share_above_the_threshold_is_asked_to_go() -> None:
    images, patches = _inputs()
    scores = _scored(images, patches, threshold=0.05)
    torch.testing.assert_close(scores.ratio, (scores.keep < -0.05).float().mean(dim=1))
    assert scores.ratio is not None
    wide = _scored(images, patches, threshold=-1.0).ratio
    narrow = _scored(images, patches, threshold=1.0).ratio
    assert wide is not None
    assert narrow is not None
    assert wide.gt(0.95).all()
    assert narrow.eq(0).all()


def test_embeddings_count_at_the_end_of_a_run_and_pixels_at_its_start() -> None:
    images, patches = _inputs()
    others = torch.randn_like(images), torch.randn_like(patches)
    start, end = (_scored(images, patches, progress=progress).keep for progress in (0.0, 1.0))
    assert torch.equal(start, _scored(images, others[1], progress=0.0).keep)
    assert torch.equal(end, _scored(others[0], patches, progress=1.0).keep)
    assert not torch.equal(start, end)
    assert torch.equal(_scored(images, patches, progress=1.0, use_embeddings=False).keep, start)


@pytest.mark.parametrize("level", [0.1, 0.7, -1.3])
@pytest.mark.parametrize("width", [192, 588, 768])
def test_a_flat_patch_resembles_nothing_not_even_by_rounding(level: float, width: int) -> None:
    assert standardise(torch.full((1, 3, width), level)).eq(0).all()


def test_standardised_patches_have_mean_zero_and_length_one() -> None:
    found = standardise(torch.randn(2, 5, 48) * 0.01 + 3)
    torch.testing.assert_close(found.norm(dim=2), torch.ones(2, 5))
    torch.testing.assert_close(found.sum(dim=2), torch.zeros(2, 5), rtol=0, atol=1e-3)
