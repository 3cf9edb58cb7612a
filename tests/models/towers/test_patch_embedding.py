"""torch's own convolution is the oracle."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.patch_embedding import PatchEmbedding, multiply_patches


def gradients(embedded: Tensor, images: Tensor, convolution: nn.Conv2d) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 2, embedded.numel(), dtype=embedded.dtype).reshape(embedded.shape)
    return torch.autograd.grad((embedded * weights).sum(), [images, *convolution.parameters()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(12, 20), (14, 23)], ids=["whole patches", "a rim that no patch reaches"])
def test_the_product_is_the_convolution_with_its_gradients(bias: bool, size: tuple[int, int]) -> None:
    theirs = nn.Conv2d(3, 8, (4, 5), stride=(4, 5), bias=bias).double()
    ours = copy.deepcopy(theirs)
    multiply_patches(ours)
    assert isinstance(ours, PatchEmbedding)
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    expected, found = theirs(images), ours.product(images)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, images, ours), gradients(expected, images, theirs))
    torch.testing.assert_close(ours(images), expected)
    assert found.flatten(2).mT.is_contiguous(), "as all that follows reads them"


def test_under_autocast_it_gives_what_the_convolution_gives() -> None:
    ours = nn.Conv2d(3, 8, 4, stride=4)
    multiply_patches(ours)
    images = torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ours.product(images), ours(images)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"stride": 4, "padding": 1}, {"stride": 4, "groups": 3}, {"stride": 4, "dilation": 2}]
)
def test_another_kind_of_convolution_stays_what_it_is(options: Any) -> None:
    convolution = nn.Conv2d(3, 6, 4, **options)
    multiply_patches(convolution)
    assert type(convolution) is nn.Conv2d


def test_towers_take_it(make_clip: Any, make_timm: Any) -> None:
    visual, trunk = make_clip().visual, make_timm()
    adapt(visual)
    adapt(trunk)
    assert type(visual.conv1) is PatchEmbedding
    assert type(trunk.trunk.patch_embed.proj) is PatchEmbedding
