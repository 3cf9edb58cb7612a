from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.models.eva import Eva
from torch import Tensor, nn

from pgsclip.bucketing import PatchBucket, Visible
from pgsclip.errors import ModelError
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.timm_eva import EvaTower

ROTARY = {"use_rot_pos_emb": True}
TRUNKS: dict[str, dict[str, Any]] = {
    "EVA-01": {"global_pool": "token"},
    "EVA-01 E, norm after": {"global_pool": "token", "use_post_norm": True},
    "EVA-02": {**ROTARY, "global_pool": "token", "swiglu_mlp": True, "scale_mlp": True, "qkv_fused": False},
    "average": {**ROTARY, "global_pool": "avg"},
    "Perception Encoder": {
        **ROTARY, "global_pool": "map", "attn_type": "rope", "use_pre_transformer_norm": True, "init_values": 0.1,
        "rope_grid_offset": 1.0, "rope_grid_indexing": "xy", "ref_feat_shape": (3, 3), "attn_pool_num_heads": 2,
    },
    "Perception Encoder G, no class token": {
        **ROTARY, "global_pool": "map", "attn_type": "rope", "class_token": False, "attn_pool_num_heads": 2,
    },
    "DINOv3, any size, registers": {
        **ROTARY, "global_pool": "token", "rope_type": "dinov3", "attn_type": "rope", "num_reg_tokens": 4,
        "use_abs_pos_emb": False, "no_embed_class": True, "dynamic_img_size": True, "rope_rotate_half": True,
    },
    "angles of each block": {**ROTARY, "global_pool": "avg", "rope_type": "mixed", "attn_type": "rope"},
}  # fmt: skip
each = pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS.keys())


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.fixture
def keep() -> Tensor:
    """Four patches of nine, other ones of each image."""
    return torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(n))[:4] for n in range(3)])


@each
def test_all_patches_give_timm_s_features_and_gradients(
    trunk: Any, make_timm: Any, pixels: Tensor, gradients: Any
) -> None:
    ours, theirs = make_timm(Eva, **trunk), make_timm(Eva, **trunk)
    tower = adapt(ours)
    assert isinstance(tower, EvaTower)
    features, expected = tower(pixels).features, theirs(pixels)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@each
def test_chosen_patches_are_what_timm_computes_of_the_same(
    trunk: Any, make_timm: Any, pixels: Tensor, keep: Tensor, gradients: Any, keep_these: Any
) -> None:
    ours, theirs = make_timm(Eva, **trunk), make_timm(Eva, **trunk)
    theirs.trunk.patch_drop = keep_these(keep, theirs.trunk.num_prefix_tokens, tells=True)
    rows = torch.arange(3)
    buckets = [PatchBucket(rows[:1], keep[:1]), PatchBucket(rows[1:], keep[1:])]
    features = adapt(ours)(pixels, lambda *_: Visible(buckets)).features
    expected = theirs(pixels)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


def test_patches_that_are_left_keep_the_angles_of_their_places(make_timm: Any, pixels: Tensor, keep: Tensor) -> None:
    """The same content at other places is another sequence; without rotation and positions it is the same."""
    tower = adapt(make_timm(Eva, **TRUNKS["DINOv3, any size, registers"]))
    prefix, patches = tower.embed(pixels)
    kept = patches[:, :4]
    here, there = tower.pool_kept(prefix, kept, keep), tower.pool_kept(prefix, kept, keep.flip(1))
    assert not torch.allclose(here, there, atol=1e-6)


def test_an_image_of_another_size_has_angles_of_its_own_grid(make_timm: Any, gradients: Any, keep_these: Any) -> None:
    trunk = TRUNKS["DINOv3, any size, registers"]
    wide = torch.randn(3, 3, 32, 64, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    keep = torch.tensor([[0, 5], [3, 2], [7, 1]])
    ours, theirs = make_timm(Eva, **trunk), make_timm(Eva, **trunk)
    torch.testing.assert_close(adapt(ours)(wide).features, theirs(wide), atol=1e-10, rtol=1e-9)
    theirs.trunk.patch_drop = keep_these(keep, 5, tells=True)
    features = adapt(ours)(wide, lambda *_: Visible([PatchBucket(torch.arange(3), keep)])).features
    torch.testing.assert_close(features, theirs(wide), atol=1e-10, rtol=1e-9)


def test_a_trunk_that_drops_patches_itself_keeps_that_to_itself(make_timm: Any, pixels: Tensor) -> None:
    dropping = make_timm(Eva, **TRUNKS["EVA-02"], patch_drop_rate=0.5).train()
    plain = make_timm(Eva, **TRUNKS["EVA-02"])
    torch.testing.assert_close(adapt(dropping)(pixels).features, plain(pixels), atol=1e-10, rtol=1e-9)
    assert dropping.trunk.patch_drop is not None


@pytest.mark.parametrize("name", ["EVA-02", "angles of each block"])
def test_recomputed_activations_give_the_same_gradients(
    name: str, make_timm: Any, pixels: Tensor, keep: Tensor, gradients: Any
) -> None:
    plain = make_timm(Eva, **TRUNKS[name])
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing(True)
    calls: list[None] = []
    saving.trunk.blocks[0].register_forward_pre_hook(lambda *_: calls.append(None))
    expected, found = (
        gradients(model, adapt(model)(pixels, lambda *_: Visible([PatchBucket(torch.arange(3), keep)])).features)
        for model in (plain, saving)
    )
    assert len(calls) == 2
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-9)


@each
def test_every_parameter_of_the_trunk_itself_is_declared_as_borrowed(trunk: Any, make_timm: Any) -> None:
    model = make_timm(Eva, **trunk)
    declared = {id(parameter) for parameter in adapt(model).external_parameters()}
    rope = [] if model.trunk.rope is None else model.trunk.rope.parameters()
    assert declared == {id(parameter) for parameter in (*model.trunk.parameters(recurse=False), *rope)}


def test_a_masker_that_wants_attention_is_refused(make_timm: Any, pixels: Tensor) -> None:
    tower = adapt(make_timm(Eva, **TRUNKS["EVA-02"]))
    with pytest.raises(ModelError, match=r"attention of timm's Eva towers .* is not told; take a model with plain"):
        tower.attend(pixels)


def test_the_trunk_alone_is_adapted_too(make_timm: Any, pixels: Tensor) -> None:
    trunk: nn.Module = make_timm(Eva, **TRUNKS["EVA-02"], num_classes=7).trunk
    torch.testing.assert_close(adapt(trunk)(pixels).features, trunk(pixels), atol=1e-10, rtol=1e-9)
