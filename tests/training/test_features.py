from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgsclip.training.features import FeatureGradients, Features


def _numbers(*shapes: tuple[int, ...]) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("biased", [True, False])
def test_the_gradient_of_the_surrogate_is_the_one_that_was_given(biased: bool) -> None:
    shapes = ((3, 2, 4), (3, 4), (1,), (1,), (3, 5))
    images, texts, scale, bias, kept = (leaf.requires_grad_() for leaf in _numbers(*shapes))
    wanted = [gradient * 7 for gradient in _numbers(*shapes)]
    features = Features(images, texts, scale, bias if biased else None, 1.0, {"term/kept": kept})
    gradients = FeatureGradients(*wanted[:3], wanted[3] if biased else None, {"term/kept": wanted[4]})
    leaves = [images, texts, scale, *([bias] if biased else []), kept]
    found = torch.autograd.grad(gradients.surrogate(features), leaves)
    for gradient, given in zip(found, [*wanted[:3], *(wanted[3:4] if biased else []), wanted[4]], strict=True):
        assert torch.equal(gradient, given)


def test_detached_features_are_the_same_numbers_without_a_gradient() -> None:
    images, texts, scale, bias, kept = (
        leaf.requires_grad_() * 2 for leaf in _numbers((1, 1, 2), (1, 2), (1,), (1,), (1,))
    )
    features = Features(images, texts, scale, bias, 0.5, {"term/kept": kept})
    detached = features.detached()
    assert detached.patches_kept == 0.5
    pairs = [*zip(features[:4], detached[:4], strict=True), (kept, detached.extra["term/kept"])]
    for before, after in pairs:
        assert torch.equal(before, after)
        assert not after.requires_grad
