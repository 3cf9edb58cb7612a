from __future__ import annotations

import math
from typing import Any

import open_clip
import pytest
import torch
from pgsclip_attention.masker import AttentionMasker, AttentionParams
from pgsclip_attention.schedule import momentum
from torch import Tensor

import pgsclip
from pgsclip.errors import MaskerError
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.selection import select
from pgsclip.models.towers.adapt import adapt
from pgsclip.testing import check_masker

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}


def tower(seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return adapt(open_clip.CLIP(16, VISION, TEXT).double().visual)


def started(vision: Any, **params: Any) -> AttentionMasker:
    masker = AttentionMasker(AttentionParams(**params))
    masker.start(vision)
    return masker


def scores(masker: AttentionMasker, images: Tensor, patches: int) -> Tensor:
    return masker(inputs(images, patches)).keep


def inputs(images: Tensor, patches: int) -> MaskInputs:
    grid = Grid(images.shape[2] // 8, images.shape[3] // 8, 8)
    assert grid.patches == patches
    return MaskInputs(images, torch.zeros(len(images), patches, 4), grid, 0.5, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("params", [{}, {"cell": 1}, {"cell": 3}, {"half_resolution": True}], ids=str)
def test_it_keeps_the_contract(params: dict[str, Any]) -> None:
    check_masker(AttentionMasker(AttentionParams(**params)), random=False)


def test_scores_are_the_attention_of_the_class_token_over_layers_and_heads() -> None:
    """By hand in float64, from the weights that torch's own attention writes down."""
    vision = tower()
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    visual, total = vision.tower, torch.zeros(3, 16, dtype=torch.float64)
    with torch.no_grad():
        patches = visual.conv1(images).flatten(2).mT
        first = visual.class_embedding.expand(3, 1, -1)
        hidden = visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)
        for block in visual.transformer.resblocks:
            inside = block.ln_1(hidden)
            _, weights = block.attn(inside, inside, inside, need_weights=True, average_attn_weights=True)
            total += weights[:, 0, 1:] / 2
            hidden = block(hidden)
    found = scores(started(vision, cell=1), images, 16)
    torch.testing.assert_close(found.double(), total, atol=1e-6, rtol=1e-5)
    cells = total.reshape(3, 2, 2, 2, 2).mean(dim=(2, 4))
    by_cell = scores(started(vision), images, 16).reshape(3, 4, 4)
    torch.testing.assert_close(by_cell[:, ::2, ::2].double(), cells, atol=1e-6, rtol=1e-5)


def test_cells_stay_or_go_together() -> None:
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for params in ({}, {"half_resolution": True}):
        kept = select(scores(started(tower(), **params), images, 16), 0.5, torch.Generator().manual_seed(0))
        shown = torch.zeros(4, 16).scatter(1, kept, 1).reshape(4, 2, 2, 2, 2).sum(dim=(2, 4))
        assert set(shown.flatten().tolist()) == {0.0, 4.0}


def test_at_half_the_resolution_the_teacher_sees_a_quarter_of_the_patches() -> None:
    vision = tower()
    masker = started(vision, half_resolution=True)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    small = torch.nn.functional.interpolate(images.float(), (16, 16), mode="bilinear", antialias=True).double()
    expected = vision.attend(small)[1].mean(dim=(1, 2)).reshape(2, 2, 2)
    found = scores(masker, images, 16).reshape(2, 4, 4)
    torch.testing.assert_close(found[:, ::2, ::2], expected)
    torch.testing.assert_close(found[:, 1::2, 1::2], expected)
    assert scores(masker, images[:, :, :24, :], 12).shape == (2, 12)  # three rows: the last cell is a half


def test_the_teacher_is_a_moving_average_whose_momentum_grows_to_one() -> None:
    first, second = tower(0), tower(1)
    masker = started(first, momentum=0.9)
    expected = {name: weight.clone() for name, weight in first.tower.named_parameters()}
    for progress in (0.25, 0.5):
        masker.observe(second, progress=progress)
        kept = 1 - 0.1 * (math.cos(math.pi * progress) + 1) / 2
        for name, weight in second.tower.named_parameters():
            expected[name] = kept * expected[name] + (1 - kept) * weight
    state = masker.state_dict()
    for name, weight in expected.items():
        torch.testing.assert_close(state[name], weight)
    before = {name: tensor.clone() for name, tensor in state.items()}
    masker.observe(second, progress=1.0)
    torch.testing.assert_close(masker.state_dict(), before)
    assert (momentum(0.996, 0.0), momentum(0.996, 1.0)) == (pytest.approx(0.996), 1.0)


def test_without_a_tower_it_says_what_it_needs() -> None:
    with pytest.raises(MaskerError, match=r"looks with a copy of the model that is trained, .* Give a checkpoint"):
        pgsclip.masker("attention").keep(torch.zeros(1, 3, 32, 32), patch_size=8)


def test_features_of_the_whole_image_come_with_the_scores() -> None:
    vision = tower()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = started(vision)(inputs(images, 16))
    torch.testing.assert_close(found.features, vision(images).pooled.detach().float())
