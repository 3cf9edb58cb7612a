from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip import factory
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.flops import _through, count_flops, pair_flops
from pgsclip.models.towers.adapt import adapt

WIDTH, LAYERS, MLP, OUT, PATCH = 32, 3, 128, 16, 8
VISION = {"image_size": 32, "patch_size": PATCH, "width": WIDTH, "layers": LAYERS, "head_width": 16}
TEXT = {"context_length": 10, "vocab_size": 64, "width": WIDTH, "heads": 2, "layers": LAYERS}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> BuiltModel:
    build_model(ModelConfig(name="pgsclip-smoke"), seed=0, loss_has_bias=False)
    config = {"embed_dim": OUT, "vision_cfg": VISION, "text_cfg": TEXT}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-counted", config)
    return build_model(ModelConfig(name="tiny-counted"), seed=0, loss_has_bias=False)


def counted_by_itself(tower: nn.Module, given: torch.Tensor) -> int:
    """FLOPs of a tower's own forward on numbers; torch knows those of attention only where it is written out."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        tower.eval().requires_grad_(False)(given)
    return counter.get_total_flops()


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


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "mt5", "m2m_100"])
def test_a_text_tower_of_hugging_face_is_counted_as_it_counts_itself_on_numbers(
    kind: str,
    tiny: BuiltModel,
    tmp_path: Path,
    write_text_tower: Callable[[Path, str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """These ask whether a caption is padded nowhere, and so look into tensors that have no numbers."""
    config = {"embed_dim": OUT, "vision_cfg": VISION, "text_cfg": write_text_tower(tmp_path, kind)}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-hugging-face", config)
    built = build_model(ModelConfig(name="tiny-hugging-face"), seed=0, loss_has_bias=False)
    assert built.context_length == 16, "that of the tokenizer, which the towers do not know"
    flops = pair_flops(built)
    assert flops.text.at(16.0) == flops.text.at(1.0) == counted_by_itself(built.model.text, torch.ones(1, 16).long())
    assert flops.text.at(16.0) > 2 * 2 * 16 * (4 * 32 * 32 + 2 * 32 * 64), "two blocks at least"


def test_an_attention_pool_is_counted_as_it_counts_itself_on_numbers(
    tiny: BuiltModel, make_timm: Callable[..., Any]
) -> None:
    """SigLIP's; it has a query that is learned, and torch's counter would wait for its gradient."""
    visual = make_timm(class_token=False, global_pool="map", qkv_bias=False).float()
    tiny.model.visual = visual
    built = dataclasses.replace(tiny, image_tower=adapt(visual))
    assert count_flops(built, kept_patches=9, text_length=4).image == counted_by_itself(
        visual, torch.zeros(1, 3, 48, 48)
    )


def test_what_cannot_be_counted_is_one_sentence(tiny: BuiltModel) -> None:
    class Picky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[x.sum(dim=-1).nonzero()[:, 0]]

    tiny.model.ln_final = Picky()
    with pytest.raises(ModelError, match=r"The text tower .* cannot be run without its numbers \(.*nonzero"):
        pair_flops(tiny)
