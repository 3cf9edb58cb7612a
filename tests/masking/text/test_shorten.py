from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.masking.text.shorten import shorten

TEXTS = torch.tensor([[48, 5, 6, 7, 8, 49, 0, 0], [48, 9, 49, 0, 0, 0, 0, 0], [48, 1, 2, 3, 4, 5, 6, 49]])
LENGTHS = torch.tensor([6, 3, 8])


def test_the_best_words_stay_in_their_order_between_start_and_end() -> None:
    scores = torch.tensor([[0.0, 1, 9, 3, 8, 0, 99, 99], [0] * 8, [-5, 7, 1, 2, 6, 3, 4, -9]])
    texts, lengths = shorten(TEXTS, LENGTHS, scores, 4, torch.Generator().manual_seed(0))
    assert texts.tolist() == [[48, 6, 8, 49], [48, 9, 49, 0], [48, 1, 4, 49]]
    assert lengths.tolist() == [4, 3, 4]


def test_what_fits_stays_as_it_is() -> None:
    texts, lengths = shorten(TEXTS, LENGTHS, torch.rand(3, 8), 20, torch.Generator().manual_seed(0))
    assert torch.equal(texts, TEXTS)
    assert torch.equal(lengths, LENGTHS)


def test_equal_scores_fall_by_chance() -> None:
    texts = torch.tensor([[48, 1, 2, 3, 4, 49]]).expand(4000, -1)
    short, _ = shorten(texts, torch.full((4000,), 6), torch.zeros(4000, 6), 4, torch.Generator().manual_seed(0))
    share = torch.bincount(short[:, 1:3].flatten(), minlength=5)[1:] / 4000
    assert (share - 0.5).abs().max() < 5 * (0.25 / 4000) ** 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(1, 6))
def test_a_shortened_caption_is_a_subsequence(seed: int, budget: int, batch: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    texts, lengths = torch.zeros(batch, 10, dtype=torch.int64), torch.randint(2, 11, (batch,), generator=chance)
    for row, length in zip(texts, lengths.tolist(), strict=True):
        row[:length] = torch.randperm(40, generator=chance)[:length] + 1
        row[length - 1] = 49
    scores = torch.randn(batch, 10, generator=chance)
    short, kept = shorten(texts, lengths, scores, budget, chance)
    assert short.shape == (batch, min(budget, 10))
    for old, length, new, count in zip(texts.tolist(), lengths.tolist(), short.tolist(), kept.tolist(), strict=True):
        assert count == min(length, budget)
        words = iter(old[:length])
        assert all(word in words for word in new[:count]), "in the order of the caption"
        assert (new[0], new[count - 1]) == (old[0], 49)
        assert not any(new[count:])
