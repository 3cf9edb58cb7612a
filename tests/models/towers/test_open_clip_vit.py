from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsclip.bucketing import PatchBucket, Visible
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.open_clip_vit import NativeTower

POOLS: dict[str, dict[str, Any]] = {
    "class token": {},
    "average": {"pool_type": "avg"},
    "average, norm after": {"pool_type": "avg", "final_ln_after_pool": True},
    "attention": {"attentional_pool": True, "attn_pooler_queries": 3, "attn_pooler_heads": 2},
    "no norm before, fixed positions": {"no_ln_pre": True, "pos_embed_type": "sin_cos_2d"},
    "other blocks": {"qk_norm": True, "ls_init_value": 0.5, "scale_fc": True},
}


@pytest.mark.parametrize("vision", POOLS.values(), ids=POOLS.keys())
def test_all_patches_give_open_clip_s_features_and_gradients(
    vision: Any, make_clip: Any, images: Tensor, gradients: Any
) -> None:
    ours, theirs = make_clip(vision=vision), make_clip(vision=vision)
    features = adapt(ours.visual)(images).features
    expected = theirs.encode_image(images)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("vision", POOLS.values(), ids=POOLS.keys())
def test_chosen_patches_are_what_open_clip_computes_of_the_same(
    vision: Any, make_clip: Any, images: Tensor, gradients: Any, keep_these: Any
) -> None:
    keep = torch.stack([torch.randperm(16, generator=torch.Generator().manual_seed(n))[:6] for n in range(5)])
    ours, theirs = make_clip(vision=vision), make_clip(vision=vision)
    theirs.visual.patch_dropout = keep_these(keep, prefix=1)
    features = adapt(ours.visual)(images, lambda *_: Visible([PatchBucket(torch.arange(5), keep)])).features
    expected = theirs.encode_image(images)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


def test_wide_images_and_patches_keep_their_shape(make_clip: Any) -> None:
    visual = make_clip(vision={"image_size": (16, 48), "patch_size": 8}).visual
    tower = adapt(visual)
    assert isinstance(tower, NativeTower)
    assert (tower.image_size, tower.patch_size) == ((16, 48), (8, 8))
    pixels = torch.randn(2, 3, 16, 48, dtype=torch.float64)
    prefix, patches = tower.embed(pixels)
    assert (prefix.shape, patches.shape) == ((2, 1, 32), (2, 12, 32))
    torch.testing.assert_close(tower(pixels).features, visual(pixels), atol=1e-10, rtol=1e-9)


def test_recomputed_activations_give_the_same_gradients(make_clip: Any, images: Tensor, gradients: Any) -> None:
    plain = make_clip()
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing(True)
    calls: list[None] = []
    saving.visual.transformer.resblocks[0].register_forward_pre_hook(lambda *_: calls.append(None))
    expected = gradients(plain, adapt(plain.visual)(images).features)
    found = gradients(saving, adapt(saving.visual)(images).features)
    assert len(calls) == 2  # once more in the backward pass
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-9)


def test_every_parameter_of_the_root_is_declared_as_borrowed(make_clip: Any) -> None:
    visual = make_clip().visual
    declared = {id(parameter) for parameter in adapt(visual).external_parameters()}
    assert declared == {id(parameter) for parameter in visual.parameters(recurse=False)}
