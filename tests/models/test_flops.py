from __future__ import annotations

import dataclasses

import pytest
import torch
from open_clip import factory

from pgsclip.config.schema import ModelConfig
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.flops import _through, count_flops, pair_flops

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
    """By hand: query, key, value and output projections, both attention products, and the two layers of the MLP.

    In the last block keys and values of all tokens, and the rest for one.
    """

    def block(asking: int) -> int:
        projections = (2 * tokens + 2 * asking) * WIDTH * WIDTH
        attention = 2 * asking * tokens * WIDTH
        return projections + attention + 2 * asking * WIDTH * MLP

    return 2 * ((LAYERS - 1) * block(tokens) + block(1))


@pytest.mark.parametrize("kept", [1, 5, 16])
def test_count_of_the_image_equals_the_sum_by_hand(kept: int, tiny: BuiltModel) -> None:
    patch_embedding = 2 * 16 * (3 * PATCH * PATCH) * WIDTH  # all patches are embedded: the masker looks at them
    by_hand = patch_embedding + blocks(kept + 1) + 2 * WIDTH * OUT
    assert count_flops(tiny, kept_patches=kept, text_length=10).image == by_hand


@pytest.mark.parametrize("length", [2, 10])
def test_count_of_the_text_equals_the_sum_by_hand(length: int, tiny: BuiltModel) -> None:
    assert count_flops(tiny, kept_patches=4, text_length=length).text == blocks(length) + 2 * WIDTH * OUT


@pytest.mark.parametrize("length", [1, 2, 5, 9, 10])
def test_the_curve_through_three_counts_meets_all_others_exactly(length: int, tiny: BuiltModel) -> None:
    flops, counted = pair_flops(tiny), count_flops(tiny, kept_patches=length + 3, text_length=length)
    assert (flops.image.at(length + 3.0), flops.text.at(float(length))) == counted


def test_many_captions_cost_what_each_costs(tiny: BuiltModel) -> None:
    lengths = [2, 2, 7, 10]
    one_by_one = sum(count_flops(tiny, kept_patches=1, text_length=length).text for length in lengths)
    assert pair_flops(tiny).text.total(torch.tensor(lengths)) == one_by_one


def test_a_model_is_counted_once_and_one_of_another_size_again(
    tiny: BuiltModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pair_flops(tiny)
    monkeypatch.setattr("pgsclip.models.flops._Counter", None)
    assert pair_flops(tiny) is known
    with pytest.raises(TypeError):
        pair_flops(dataclasses.replace(tiny, context_length=8))


@pytest.mark.parametrize(("counts", "at"), [({1: 5}, 5), ({1: 5, 2: 8}, 11)])
def test_one_or_two_patches_are_a_constant_and_a_line(counts: dict[int, int], at: float) -> None:
    assert _through(counts.__getitem__, max(counts)).at(3.0) == at


def test_recomputation_does_not_change_the_count_and_the_model_stays(tiny: BuiltModel) -> None:
    plain = count_flops(tiny, kept_patches=8, text_length=5)
    before = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}
    tiny.model.set_grad_checkpointing(True)
    tiny.model.train()
    assert count_flops(dataclasses.replace(tiny), kept_patches=8, text_length=5) == plain
    assert tiny.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.model.state_dict().items())
