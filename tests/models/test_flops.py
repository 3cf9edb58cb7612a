from __future__ import annotations

import dataclasses

import pytest
import torch
from open_clip import factory

from pgsclip.config.schema import ModelConfig
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.flops import count_flops

WIDTH, LAYERS, MLP, OUT, PATCH = 32, 3, 128, 16, 8
VISION = {"image_size": 32, "patch_size": PATCH, "width": WIDTH, "layers": LAYERS, "head_width": 16}
TEXT = {"context_length": 10, "vocab_size": 64, "width": WIDTH, "heads": 2, "layers": LAYERS}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> BuiltModel:
    build_model(ModelConfig(name="pgsclip-smoke"), seed=0, loss_has_bias=False)
    config = {"embed_dim": OUT, "vision_cfg": VISION, "text_cfg": TEXT}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-counted", config)
    return build_model(ModelConfig(name="tiny-counted"), seed=0, loss_has_bias=False)


def blocks(tokens: int) -> int:
    """By hand: query, key, value and output projections, both attention products, and the two layers of the MLP."""
    projections = 4 * tokens * WIDTH * WIDTH
    attention = 2 * tokens * tokens * WIDTH
    mlp = 2 * tokens * WIDTH * MLP
    return 2 * LAYERS * (projections + attention + mlp)


@pytest.mark.parametrize("kept", [1, 5, 16])
def test_count_of_the_image_equals_the_sum_by_hand(kept: int, tiny: BuiltModel) -> None:
    patch_embedding = 2 * 16 * (3 * PATCH * PATCH) * WIDTH  # all patches are embedded: the masker looks at them
    by_hand = patch_embedding + blocks(kept + 1) + 2 * WIDTH * OUT
    assert count_flops(tiny, kept_patches=kept, text_length=10).image == by_hand


@pytest.mark.parametrize("length", [2, 10])
def test_count_of_the_text_equals_the_sum_by_hand(length: int, tiny: BuiltModel) -> None:
    assert count_flops(tiny, kept_patches=4, text_length=length).text == blocks(length) + 2 * WIDTH * OUT


def test_recomputation_does_not_change_the_count_and_the_model_stays(tiny: BuiltModel) -> None:
    plain = count_flops(tiny, kept_patches=8, text_length=5)
    before = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}
    tiny.model.set_grad_checkpointing(True)
    tiny.model.train()
    assert count_flops(dataclasses.replace(tiny), kept_patches=8, text_length=5) == plain
    assert tiny.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.model.state_dict().items())
