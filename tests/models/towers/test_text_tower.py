from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pgsclip.bucketing import Bucket, cut_into_buckets
from pgsclip.models.towers.text_tower import TextTower

KINDS: dict[str, dict[str, Any]] = {
    "CLIP": {},
    "CLIP, linear projection": {"text": {"proj_bias": True}},
    "CLIP, no projection": {"text": {"proj_type": "none", "width": 16}},
    "CustomTextCLIP": {"custom": True},
    "CustomTextCLIP, pooled at its own end token": {"custom": True, "text": {"pool_type": "eos", "eos_id": 63}},
}
UNCUT: dict[str, dict[str, Any]] = {
    "sees both ways": {"text": {"no_causal_mask": True}},
    "ends at an id that is not the largest": {"custom": True, "text": {"pool_type": "eos", "eos_id": 2}},
    "pooled at the last place": {"custom": True, "text": {"pool_type": "last"}},
    "class token at the end": {"custom": True, "text": {"embed_cls": True, "pool_type": "last"}},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_uncut_is_open_clip_s_encode_text(kind: Any, make_clip: Any, captions: Any, gradients: Any) -> None:
    ours, theirs = make_clip(**kind), make_clip(**kind)
    features, expected = TextTower(ours)(captions.texts), theirs.encode_text(captions.texts)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("max_passes", [1, 2, 4, 6])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_captions_cut_to_the_longest_of_their_group_are_exact(
    kind: Any, max_passes: int, make_clip: Any, captions: Any, gradients: Any
) -> None:
    ours, theirs = make_clip(**kind), make_clip(**kind)
    tower = TextTower(ours)
    assert tower.can_cut
    features = tower(captions.texts, cut_into_buckets(captions.lengths, max_passes))
    expected = theirs.encode_text(captions.texts)
    torch.testing.assert_close(features, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(ours, features), gradients(theirs, expected), atol=1e-10, rtol=1e-9)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=7), max_passes=st.integers(1, 5))
def test_any_lengths_in_any_number_of_passes(lengths: list[int], max_passes: int, make_clip: Any) -> None:
    texts = torch.zeros(len(lengths), 12, dtype=torch.long)
    for row, length in zip(texts, lengths, strict=True):
        row[:length] = torch.arange(1, length + 1)
        row[length - 1] = 63
    model = make_clip()
    with torch.no_grad():
        features = TextTower(model)(texts, cut_into_buckets(torch.tensor(lengths), max_passes))
        torch.testing.assert_close(features, model.encode_text(texts), atol=1e-10, rtol=1e-9)


def test_buckets_run_no_longer_than_they_must(make_clip: Any, captions: Any) -> None:
    model = make_clip()
    shapes: list[tuple[int, int]] = []
    model.transformer.resblocks[0].register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[:2])))
    TextTower(model)(captions.texts, cut_into_buckets(captions.lengths, 3))
    assert shapes == [(3, 3), (2, 7), (1, 12)]


@pytest.mark.parametrize("kind", UNCUT.values(), ids=UNCUT.keys())
def test_towers_that_look_beyond_the_end_run_uncut(kind: Any, make_clip: Any, captions: Any) -> None:
    model = make_clip(**kind)
    tower = TextTower(model)
    assert not tower.can_cut
    features = tower(captions.texts, [Bucket(torch.arange(6), 2)])
    torch.testing.assert_close(features, model.encode_text(captions.texts))


def test_recomputed_activations_give_the_same_gradients(make_clip: Any, captions: Any, gradients: Any) -> None:
    plain, saving = make_clip(), make_clip()
    saving.set_grad_checkpointing(True)
    found: list[dict[str, Tensor]] = []
    for model in (plain, saving):
        found.append(gradients(model, TextTower(model)(captions.texts, cut_into_buckets(captions.lengths, 2))))
    torch.testing.assert_close(found[1], found[0], atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_parameters_of_the_root_are_declared_as_borrowed_and_none_is_owned(kind: Any, make_clip: Any) -> None:
    model = make_clip(**kind)
    tower = TextTower(model)
    root = model.text if kind.get("custom") else model
    own = {id(p) for name, p in root.named_parameters(recurse=False) if not name.startswith("logit_")}
    assert {id(parameter) for parameter in tower.external_parameters()} == own
    assert tower.state_dict() == {}
