"""Depth of parameters; timm and open_clip are the oracles for what belongs where."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from open_clip.timm_model import TimmModel
from timm.optim._param_groups import param_groups_layer_decay
from torch import nn
from transformers import AutoModel, BertConfig, T5Config

from pgsclip.models.layers import Layer, count_passes, find_layers, rate_share
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.text_tower import TextTower


class WithText(nn.Module):
    """As open_clip's `CustomTextCLIP` holds a Hugging Face tower."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.visual = nn.Linear(2, 2)
        self.text = nn.Module()
        self.text.transformer = transformer
        self.text.proj = nn.Linear(2, 2)
        self.logit_scale = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize("custom", [False, True])
def test_both_towers_of_open_clip(custom: bool, make_clip: Any) -> None:
    model = make_clip(custom=custom)
    places = find_layers(model, adapt(model.visual).blocks, TextTower(model).blocks).places
    assert places.keys() == dict(model.named_parameters()).keys()
    text = "text." if custom else ""
    expected = {
        "visual.conv1.weight": Layer("image", 0, 2),
        "visual.class_embedding": Layer("image", 0, 2),
        "visual.positional_embedding": Layer("image", 0, 2),
        "visual.ln_pre.bias": Layer("image", 0, 2),
        "visual.transformer.resblocks.0.attn.in_proj_weight": Layer("image", 1, 2),
        "visual.transformer.resblocks.1.ln_2.weight": Layer("image", 2, 2),
        "visual.ln_post.weight": Layer("image", 2, 2),
        "visual.proj": Layer("image", 3, 2),
        f"{text}token_embedding.weight": Layer("text", 0, 2),
        f"{text}positional_embedding": Layer("text", 0, 2),
        f"{text}transformer.resblocks.1.mlp.c_fc.weight": Layer("text", 2, 2),
        f"{text}ln_final.weight": Layer("text", 2, 2),
        f"{text}text_projection": Layer("text", 3, 2),
        "logit_scale": Layer("", 1, 0),
    }
    assert {name: places[name] for name in expected} == expected
    assert rate_share(places["logit_scale"], 0.5) == 1


@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_224", "eva02_tiny_patch14_224"])
def test_rates_fall_as_timm_lets_them_fall(name: str) -> None:
    trunk = timm.create_model(name, num_classes=5, depth=3)
    model = nn.Module()
    model.visual = TimmModel("test_vit", embed_dim=16, proj="")
    model.visual.trunk = trunk
    model.logit_scale = nn.Parameter(torch.ones(1))
    places = find_layers(model, adapt(model.visual).blocks, ()).places
    groups = param_groups_layer_decay(trunk, layer_decay=0.7)
    theirs = {id(weight): group["lr_scale"] for group in groups for weight in group["params"]}
    for key, weight in trunk.named_parameters():
        assert rate_share(places[f"visual.trunk.{key}"], 0.7) == pytest.approx(theirs[id(weight)]), key


@pytest.mark.parametrize(
    ("config", "embedding", "block"),
    [
        (BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8),
         "embeddings.LayerNorm.weight", "encoder.layer.1.output.dense.weight"),
        (T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=3, num_heads=2),
         "shared.weight", "encoder.block.1.layer.0.SelfAttention.q.weight"),
    ],
)  # fmt: skip
def test_hugging_face_towers(config: Any, embedding: str, block: str) -> None:
    transformer = AutoModel.from_config(config)
    model = WithText(transformer.get_encoder() if isinstance(config, T5Config) else transformer)
    if isinstance(config, T5Config):
        model.text.transformer = nn.ModuleDict({"encoder": transformer.encoder})
        model.text.transformer.shared = transformer.shared
    layers = find_layers(model, (), ())
    assert len(layers.blocks["text"]) == 3
    prefix = "text.transformer."
    names = [name for name in layers.places if name.endswith(embedding.partition(".")[2]) and "block" not in name]
    assert any(layers.places[name] == Layer("text", 0, 3) for name in names)
    assert layers.places[prefix + block] == Layer("text", 2, 3)
    assert layers.places["text.proj.weight"] == Layer("text", 4, 3)


def test_passes_that_nobody_needs_are_not_counted(make_clip: Any) -> None:
    model = make_clip()
    layers = find_layers(model, adapt(model.visual).blocks, TextTower(model).blocks)
    assert count_passes(model, layers) == (3, 3)
    model.visual.requires_grad_(False)
    assert count_passes(model, layers) == (1, 3)
    model.visual.proj.requires_grad_(True)
    assert count_passes(model, layers) == (1, 3)
    model.visual.transformer.resblocks[1].requires_grad_(True)
    assert count_passes(model, layers) == (2, 3)  # the second of two blocks, there and back
    model.visual.ln_pre.requires_grad_(True)
    assert count_passes(model, layers) == (2.5, 3)  # back through the first one too, but no weights of it
