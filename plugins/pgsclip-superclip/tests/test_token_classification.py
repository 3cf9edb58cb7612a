from __future__ import annotations

import math

import torch
from pgsclip_superclip import TokenClassification, TokenClassificationParams, words

from pgsclip.losses.auxiliary import Sizes
from pgsclip.testing import check_loss

TOKENS = torch.tensor([[8, 1, 2, 2, 9, 0], [8, 1, 3, 9, 0, 0]])
"""Start 8, end 9, padding 0: the words {1, 2} and {1, 3}."""


def term() -> TokenClassification:
    torch.manual_seed(0)
    return TokenClassification(TokenClassificationParams(), Sizes(width=4, vocabulary=10, views=1))


def test_it_keeps_the_contract() -> None:
    check_loss(TokenClassification)


def test_words_are_what_stands_between_start_and_end() -> None:
    assert [row.nonzero().flatten().tolist() for row in words(TOKENS, 10)] == [[1, 2], [1, 3]]


def test_the_loss_by_hand_over_two_steps() -> None:
    """Token by token in float64: df and D count this step too, and everything before."""
    loss = term()
    logits = torch.randn(2, 1, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_p = logits.log_softmax(dim=-1)
    for step in (1, 2):
        found = loss({"logits": logits, "tokens": TOKENS})
        idf = {1: math.log((2 * step + 1) / (2 * step + 1)), 2: math.log((2 * step + 1) / (step + 1))}
        assert idf[1] == 0  # in every caption, so it tells nothing: the rest of each caption is one word
        expected = -(log_p[0, 0, 2] + log_p[1, 0, 3]) / 2
        torch.testing.assert_close(found, expected)
    assert loss.captions == 4
    assert loss.holding[:4].tolist() == [0, 4, 2, 2]


def test_rare_words_weigh_more() -> None:
    loss = term()
    loss.captions += 98
    loss.holding[1] += 50
    logits = torch.zeros(2, 1, 10, dtype=torch.float64)
    logits[0, 0, 2] = 1.0
    rare = loss({"logits": logits, "tokens": TOKENS})
    logits[0, 0, 2], logits[0, 0, 1] = 0.0, 1.0
    assert rare < loss({"logits": logits, "tokens": TOKENS})
