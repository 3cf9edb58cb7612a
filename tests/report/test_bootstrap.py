from __future__ import annotations

import base64

import numpy as np
import pytest

from pgsclip.report.bootstrap import interval, mean_interval, paired, unpack


def drawn(values: np.ndarray, count: int = 4000) -> tuple[float, float]:
    """The bootstrap as it is written in books: draw indices, take means."""
    chance = np.random.default_rng(1)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(count)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_interval_is_that_of_drawn_indices() -> None:
    hits = np.arange(200) % 3 == 0
    found = interval(hits)
    assert found.value == hits.mean()
    assert found[1:] == pytest.approx(drawn(hits.astype(float)), abs=0.012)


def test_paired_difference_is_that_of_drawn_pairs() -> None:
    chance = np.random.default_rng(0)
    ours, theirs = chance.random(300) < 0.6, chance.random(300) < 0.5
    found = paired(ours, theirs)
    difference = ours.astype(float) - theirs.astype(float)
    assert found.value == pytest.approx(difference.mean())
    assert found[1:] == pytest.approx(drawn(difference), abs=0.015)


def test_equal_answers_differ_by_nothing_at_all() -> None:
    hits = np.arange(50) % 2 == 0
    assert paired(hits, hits) == (0, 0, 0)


def test_mean_over_sets_weighs_sets_and_not_images() -> None:
    large, small = np.ones(900, bool), np.zeros(100, bool)
    assert mean_interval([large, small]) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 31])
def test_answers_come_back_as_they_were_packed(count: int) -> None:
    bits = np.random.default_rng(count).random(count) < 0.5
    packed = base64.b64encode(np.packbits(bits).tobytes()).decode()
    assert unpack(packed, count).tolist() == bits.tolist()
