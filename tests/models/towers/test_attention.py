"""torch's own `nn.MultiheadAttention` is the oracle."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.attention import PackedAttention, pack_attention
from pgsclip.models.towers.text_tower import TextTower

HEADS, WIDTH, TOKENS = 4, 32, 7
CAUSAL = torch.full((TOKENS, TOKENS), float("-inf"), dtype=torch.float64).triu(1)
ASKED: dict[str, dict[str, Any]] = {
    "as blocks do": {"need_weights": False},
    "under a causal mask": {"need_weights": False, "attn_mask": CAUSAL},
    "under truth values": {"need_weights": False, "attn_mask": CAUSAL != 0},
    "under a mask for each head": {"need_weights": False, "attn_mask": CAUSAL.expand(3 * HEADS, -1, -1)},
    "without padding": {"need_weights": False, "key_padding_mask": torch.arange(TOKENS).expand(3, -1) > 4},
    "with weights": {},
    "with weights of heads": {"average_attn_weights": False},
}


def made(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(WIDTH, HEADS, **{"batch_first": True, **options}).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.3)
    return attention


def packed(attention: nn.MultiheadAttention) -> nn.MultiheadAttention:
    other = copy.deepcopy(attention)
    pack_attention(nn.Sequential(other))
    return other


def figures(attention: nn.Module, inputs: list[Tensor], **options: Any) -> list[Tensor]:
    inputs = [one.clone().requires_grad_() for one in inputs]
    seen, weights = attention(*(inputs * 3 if len(inputs) == 1 else inputs), **options)
    (seen * torch.linspace(-1, 2, seen.numel(), dtype=torch.float64).reshape(seen.shape)).sum().backward()
    gradients = [one.grad for one in (*inputs, *attention.parameters()) if one.grad is not None]
    return [seen, *([] if weights is None else [weights]), *gradients]


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(3, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("options", ASKED.values(), ids=ASKED.keys())
@pytest.mark.parametrize("training", [True, False])
def test_outputs_weights_and_gradients_are_torch_s(options: Any, training: bool, tokens: Tensor) -> None:
    theirs = made().train(training)
    ours = packed(theirs)
    assert type(ours) is PackedAttention
    torch.testing.assert_close(figures(ours, [tokens], **options), figures(theirs, [tokens], **options))


def test_some_tokens_look_at_all_under_masks_of_their_own(tokens: Tensor) -> None:
    theirs = made()
    ours = packed(theirs)
    chosen, masks = tokens[:, 2:4].clone(), torch.stack([CAUSAL[row : row + 2] for row in (0, 3, 5)])
    results = []
    for one, mask in ((ours, masks.unsqueeze(1)), (theirs, masks.repeat_interleave(HEADS, dim=0))):
        one.zero_grad()
        query, rest = chosen.requires_grad_(), tokens.clone().requires_grad_()
        seen, _ = one(query, rest, rest, need_weights=False, attn_mask=mask)
        results.append((seen, *torch.autograd.grad(seen.square().sum(), [query, rest, *one.parameters()])))
    torch.testing.assert_close(*results)


def test_keys_of_others_are_torch_s(tokens: Tensor) -> None:
    theirs = made()
    inputs = [tokens[:, :3], tokens, tokens + 1]
    found = figures(packed(theirs), inputs, need_weights=False)
    torch.testing.assert_close(found, figures(theirs, inputs, need_weights=False))


@pytest.mark.parametrize("options", [{"batch_first": False}, {"dropout": 0.1}, {"kdim": 8}, {"add_bias_kv": True}])
def test_another_kind_of_attention_stays_what_it_is(options: Any) -> None:
    assert type(packed(made(**options))) is nn.MultiheadAttention


def test_no_copies_are_made_of_the_projection(tokens: Tensor) -> None:
    def copied(attention: nn.Module) -> int:
        with torch.profiler.profile() as profile:
            figures(attention, [tokens], need_weights=False)
        return sum(event.count for event in profile.key_averages() if event.key == "aten::select_backward")

    theirs = made()
    assert copied(theirs) == 3, "what this is about; if torch has changed, so may we"
    assert copied(packed(theirs)) == 0


def test_both_towers_run_packed_and_their_weights_keep_their_names(make_clip: Any) -> None:
    model = make_clip()
    names = list(model.state_dict())
    adapt(model.visual)
    TextTower(model)
    kinds = {type(module) for module in model.modules() if isinstance(module, nn.MultiheadAttention)}
    assert kinds == {PackedAttention}
    assert list(model.state_dict()) == names
