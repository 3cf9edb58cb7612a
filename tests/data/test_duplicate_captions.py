from __future__ import annotations

from collections import Counter

from pgsclip.data.duplicate_captions import DuplicateCaptions


def test_the_counts_are_those_of_all_texts_together() -> None:
    parts = [["one", "two", "two"], ["two", "three"], ["three", "four"], ["three", "four", "four", "five"]]
    repeats = DuplicateCaptions()
    for part in parts:
        repeats.add(Counter(part))
    every = Counter(text for part in parts for text in part)
    assert repeats.counts == {text: count for text, count in every.items() if count > 1}


def test_words_that_came_once_are_not_kept() -> None:
    repeats = DuplicateCaptions()
    repeats.add({"a long caption that comes once": 1})
    assert not repeats.counts
    assert not any(isinstance(kept, str) for kept in vars(repeats)["_once"])
