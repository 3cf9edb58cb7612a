from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from pgsclip.bucketing import PatchBucket, Visible
from pgsclip.errors import ModelError
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.timm_vit import TimmTower

TRUNKS: dict[str, dict[str, Any]] = {
    "class token": {"global_pool": "token"},
    "no prefix, attention pool, as SigLIP": {"class_token": False, "global_pool": "map"},
    "registers, average": {"reg_tokens": 2, "global_pool": "avg", "no_embed_class": True},
    "norm before, layer scale": {"pre_norm": True, "init_values": 0.1, "global_pool": "token"},
    "any size": {"dynamic_img_size": True, "global_pool": "token", "reg_tokens": 1},
}
PREFIX = {"class token": 1, "no prefix, attention pool, as SigLIP": 0, "registers, average": 3}


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS.keys())
def test_all_patches_give_open_clip_s_features_and_gradients(
    trunk: Any, make_timm: Any, pixels: Tensor, gradients: Any
) -> None:
    ours, theirs = make_timm(**trunk), make_timm(**trunk)
    features, expected = adapt(ours)(pixels).features, theirs(pixels)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS.keys())
def test_chosen_patches_are_what_timm_computes_of_the_same(
    trunk: Any, make_timm: Any, pixels: Tensor, gradients: Any, keep_these: Any
) -> None:
    keep = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(n))[:4] for n in range(3)])
    ours, theirs = make_timm(**trunk), make_timm(**trunk)
    theirs.trunk.patch_drop = keep_these(keep, prefix=theirs.trunk.num_prefix_tokens)
    features = adapt(ours)(pixels, lambda *_: Visible([PatchBucket(torch.arange(3), keep)])).features
    expected = theirs(pixels)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("name", PREFIX)
def test_prefix_is_told_from_patches(name: str, make_timm: Any, pixels: Tensor) -> None:
    tower = adapt(make_timm(**TRUNKS[name]))
    assert isinstance(tower, TimmTower)
    assert (tower.patch_size, tower.image_size) == ((16, 16), (48, 48))
    prefix, patches = tower.embed(pixels)
    assert prefix.shape == (3, PREFIX[name], 64)
    assert patches.shape == (3, 9, 64)


def test_recomputed_activations_give_the_same_gradients(make_timm: Any, pixels: Tensor, gradients: Any) -> None:
    plain = make_timm(global_pool="token")
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing(True)
    calls: list[None] = []
    saving.trunk.blocks[0].register_forward_pre_hook(lambda *_: calls.append(None))
    expected = gradients(plain, adapt(plain)(pixels).features)
    found = gradients(saving, adapt(saving)(pixels).features)
    assert len(calls) == 2
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS.keys())
def test_every_parameter_of_the_trunk_itself_is_declared_as_borrowed(trunk: Any, make_timm: Any) -> None:
    model = make_timm(**trunk)
    declared = {id(parameter) for parameter in adapt(model).external_parameters()}
    assert declared == {id(parameter) for parameter in model.trunk.parameters(recurse=False)}


STEMS: dict[str, dict[str, Any]] = {
    "MobileCLIP-B": {"kind": partial(timm.create_model, "vit_base_mci_224"), "embed_dim": 768, "global_pool": "token"},
    "ViTamin-S": {"kind": partial(timm.create_model, "vitamin_small_224"), "embed_dim": 384, "global_pool": "avg"},
}


@pytest.mark.parametrize("stem", STEMS.values(), ids=STEMS.keys())
def test_patches_are_chosen_among_the_positions_behind_a_stem(
    stem: Any, make_timm: Any, pixels: Tensor, gradients: Any, keep_these: Any
) -> None:
    """In training mode too, where the batch norms of MobileCLIP's stem look at all images and all of their places."""
    keep = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(n))[:4] for n in range(3)])
    ours, theirs = (make_timm(**stem, patch_size=1).train() for _ in range(2))
    tower = adapt(ours)
    assert (tower.patch_size, tower.image_size) == ((16, 16), (48, 48))
    torch.testing.assert_close(tower(pixels).features, theirs(pixels), atol=1e-10, rtol=1e-9)
    theirs.trunk.patch_drop = keep_these(keep, prefix=theirs.trunk.num_prefix_tokens)
    features, expected = (
        tower(pixels, lambda *_: Visible([PatchBucket(torch.arange(3), keep)])).features,
        theirs(pixels),
    )
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()), atol=1e-10, rtol=1e-9)


def test_a_stem_whose_positions_do_not_divide_the_image_is_refused(make_timm: Any) -> None:
    """41 pixels in steps of 16 are two positions and a half, of which the stem makes two."""
    with pytest.raises(ModelError, match=r"makes 2 x 2 positions of 41 x 41 .* no regular grid"):
        adapt(make_timm(**STEMS["MobileCLIP-B"], patch_size=1, img_size=41))
