"""Where the class token looks: against the weights that torch's own attention returns, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.errors import ModelError
from pgsclip.models.towers.adapt import adapt


def by_torch(visual: Any, pixels: Tensor) -> Tensor:
    """Every block once more with the attention that writes its weights down."""
    weights = []
    with torch.no_grad():
        tokens = visual.conv1(pixels).flatten(2).mT
        first = visual.class_embedding.expand(len(pixels), 1, -1)
        hidden = visual.ln_pre(torch.cat([first, tokens], dim=1) + visual.positional_embedding)
        for block in visual.transformer.resblocks:
            inside = block.ln_1(hidden)
            weights.append(block.attn(inside, inside, inside, need_weights=True, average_attn_weights=False)[1])
            hidden = block(hidden)
    return torch.stack(weights, dim=1)[:, :, :, 0, 1:]


def test_the_attention_of_the_class_token_is_torch_s(make_clip: Any, images: Tensor) -> None:
    visual = make_clip(vision={"layers": 3}).visual
    nn.init.normal_(visual.transformer.resblocks[1].attn.in_proj_bias)  # zero at birth
    pooled, attention = adapt(visual)(images).pooled, adapt(visual).attend(images)[1]
    assert attention.shape == (5, 3, 2, 16)
    assert attention.dtype == torch.float32
    torch.testing.assert_close(attention.double(), by_torch(visual, images), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(adapt(visual).attend(images)[0].double(), pooled, atol=1e-6, rtol=1e-5)
    assert not attention.requires_grad
    assert not visual.transformer.resblocks[0].attn._forward_pre_hooks


def test_timm_s_class_token_too_with_registers_and_norms(make_timm: Any) -> None:
    tower = adapt(make_timm(reg_tokens=2, qk_norm=True, global_pool="token"))
    pixels = torch.randn(3, 3, 48, 48, dtype=torch.float64)
    trunk = tower.tower.trunk
    expected = []
    with torch.no_grad():
        hidden = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(pixels)))
        for block in trunk.blocks:
            attn, inside = block.attn, block.norm1(hidden)
            qkv = attn.qkv(inside).reshape(3, 12, 3, 2, 32).permute(2, 0, 3, 1, 4)
            logits = attn.q_norm(qkv[0]) @ attn.k_norm(qkv[1]).mT / 32**0.5
            expected.append(logits.softmax(dim=-1)[:, :, 0, 3:])
            hidden = block(hidden)
    _, attention = tower.attend(pixels)
    torch.testing.assert_close(attention.double(), torch.stack(expected, dim=1), atol=1e-6, rtol=1e-5)
    with pytest.raises(ModelError, match=r"look at images of their own size only, here \(48, 48\), not at \(16, 32\)"):
        tower.attend(pixels[:, :, :16, :32])


def test_other_sizes_get_positions_as_open_clip_resizes_them(make_clip: Any) -> None:
    from open_clip.factory import resize_pos_embed

    small, large = make_clip(vision={"image_size": 32}), make_clip(vision={"image_size": 48}, seed=1)
    state = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    resize_pos_embed(state, large)
    large.load_state_dict(state)
    pixels = torch.randn(2, 3, 48, 48, dtype=torch.float64)
    ours, theirs = adapt(small.visual).attend(pixels), adapt(large.visual).attend(pixels)
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-6, rtol=1e-5)
    assert adapt(small.visual).attend(torch.randn(1, 3, 16, 40, dtype=torch.float64))[1].shape == (1, 2, 2, 10)


def test_towers_that_do_not_tell_say_why(make_clip: Any, make_timm: Any, images: Tensor) -> None:
    with pytest.raises(ModelError, match=r"blocks of this image tower hold Attention, whose attention is not told"):
        adapt(make_clip(vision={"qk_norm": True}).visual).attend(images)
    with pytest.raises(ModelError, match="no class token whose attention could be told"):
        adapt(make_timm(class_token=False, global_pool="map")).attend(torch.randn(1, 3, 48, 48, dtype=torch.float64))


def test_a_copy_is_one_that_nobody_trains(make_clip: Any, images: Tensor) -> None:
    tower = adapt(make_clip().visual)
    twin = tower.copy()
    torch.testing.assert_close(twin(images).features, tower(images).features.detach())
    assert not any(parameter.requires_grad for parameter in twin.tower.parameters())
    assert not twin.tower.training
    with torch.no_grad():
        tower.tower.conv1.weight.mul_(2)
    assert not torch.equal(twin.tower.conv1.weight, tower.tower.conv1.weight)
    assert tower.width == F.normalize(tower(images).pooled).shape[1] == 32
