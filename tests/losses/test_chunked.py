"""The losses in chunks against their definitions in float64, and against open_clip's over two processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pgsclip.losses.chunked import clip_loss, row_cross_entropy, sigmoid_loss

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def both_ways(images: Tensor, texts: Tensor, scale: Tensor, _: Tensor) -> Tensor:
    logits = scale * images @ texts.T
    return (-logits.log_softmax(1).diagonal().mean() - logits.log_softmax(0).diagonal().mean()) / 2


def every_pair(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    signs = 2 * torch.eye(len(images), len(texts), dtype=images.dtype) - 1
    return -F.logsigmoid(signs * (scale * images @ texts.T + bias)).sum() / len(images)


def rows_both_ways(images: Tensor, texts: Tensor, scale: Tensor, logits: int) -> Tensor:
    return (row_cross_entropy(images, texts, scale, 0, logits) + row_cross_entropy(texts, images, scale, 0, logits)) / 2


def inputs(count: int, seed: int, scale: float) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    pair = [F.normalize(torch.randn(count, 8, generator=generator), dim=-1) for _ in range(2)]
    return (*pair, torch.tensor([scale]), torch.tensor([-3.0]))


def check(ours: Loss, theirs: Loss, given: tuple[Tensor, ...], *, has_bias: bool) -> None:
    single = [tensor.clone().requires_grad_() for tensor in given]
    double = [tensor.double().requires_grad_() for tensor in given]
    loss, expected = ours(*single), theirs(*double)
    (3 * loss).backward()
    (3 * expected).backward()
    scale = given[2].item()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-6 + 2e-8 * scale)
    for found, wanted in list(zip(single, double, strict=True))[: 4 if has_bias else 3]:
        assert found.grad is not None
        assert wanted.grad is not None
        # Float32 knows a probability to 6e-8, and the gradient is `scale` times such a difference.
        assert (found.grad.double() - wanted.grad).norm() < 1e-5 * wanted.grad.norm() + 1e-6 * scale


COUNTS = st.integers(1, 40)
BLOCKS = st.integers(1, 2000)
SCALES = st.sampled_from([1.0, 14.3, 100.0])


@given(COUNTS, BLOCKS, SCALES, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_clip_in_chunks_is_the_loss_and_its_gradient(count: int, logits: int, scale: float, seed: int) -> None:
    given = inputs(count, seed, scale)
    check(lambda i, t, s, b: clip_loss(i, t, s, logits), both_ways, given, has_bias=False)
    check(lambda i, t, s, b: rows_both_ways(i, t, s, logits), both_ways, given, has_bias=False)


@given(COUNTS, BLOCKS, SCALES, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_sigmoid_in_chunks_is_the_loss_and_its_gradient(count: int, logits: int, scale: float, seed: int) -> None:
    check(lambda i, t, s, b: sigmoid_loss(i, t, s, b, 0, logits), every_pair, inputs(count, seed, scale), has_bias=True)


def test_pairs_that_are_learnt_keep_the_digits_of_their_gradient() -> None:
    given = inputs(1, 89, 100.0)
    found, wanted = ([tensor.requires_grad_() for tensor in kind] for kind in (given, [t.double() for t in given]))
    sigmoid_loss(*found, 0, 1).backward()
    every_pair(*wanted).backward()
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert 0 < theirs.grad.norm() < 1e-3
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=0)


@pytest.mark.parametrize("first", [0, 4, 8])
def test_a_rank_s_share_finds_its_own_matches(first: int) -> None:
    images, texts, scale, bias = inputs(12, 5, 20.0)
    share = images[first : first + 4]
    logits = scale.double() * share.double() @ texts.double().T
    expected = F.cross_entropy(logits, torch.arange(first, first + 4))
    assert row_cross_entropy(share, texts, scale, first, 24).item() == pytest.approx(expected.item(), rel=1e-6)
    signs = -torch.ones(4, 12, dtype=torch.double)
    signs[torch.arange(4), torch.arange(first, first + 4)] = 1
    expected = -F.logsigmoid(signs * (logits + bias.double())).sum() / 4
    assert sigmoid_loss(share, texts, scale, bias, first, 24).item() == pytest.approx(expected.item(), rel=1e-6)


def test_features_far_from_each_other_at_the_cap_do_not_underflow() -> None:
    """exp(-2 * 100) is nothing in float32; only differences to the largest logit may be taken."""
    images = torch.eye(4)
    texts = -torch.eye(4).roll(1, 0)
    loss = clip_loss(images, texts, torch.tensor([100.0]), 8)
    expected = both_ways(images.double(), texts.double(), torch.tensor(100.0), torch.zeros(()))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_memory_is_that_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts, scale, _ = inputs(64, 0, 10.0)
    largest = 0
    original = torch.mm

    def watched(*given: Tensor, **named: Tensor) -> Tensor:
        nonlocal largest
        found = original(*given, **named)
        largest = max(largest, found.numel())
        return found

    monkeypatch.setattr(torch, "mm", watched)
    clip_loss(images.requires_grad_(), texts.requires_grad_(), scale, 256).backward()
    assert largest <= 64 * 8  # features; a chunk of logits has 256
