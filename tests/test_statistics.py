from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pgsclip.statistics import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_mean_of_shares,
    bootstrap_share,
    student_mean,
)


def drawn(values: np.ndarray, count: int = 4000) -> tuple[float, float]:
    """The bootstrap as it is written in books: draw indices, take means."""
    chance = np.random.default_rng(1)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(count)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_interval_is_that_of_drawn_indices() -> None:
    hits = np.arange(200) % 3 == 0
    found = bootstrap_share(hits)
    assert found.value == hits.mean()
    assert found[1:] == pytest.approx(drawn(hits.astype(float)), abs=0.012)


def test_paired_difference_is_that_of_drawn_pairs() -> None:
    chance = np.random.default_rng(0)
    ours, theirs = chance.random(300) < 0.6, chance.random(300) < 0.5
    found = bootstrap_difference(ours, theirs)
    difference = ours.astype(float) - theirs.astype(float)
    assert found.value == pytest.approx(difference.mean())
    assert found[1:] == pytest.approx(drawn(difference), abs=0.015)


def test_equal_answers_differ_by_nothing_at_all() -> None:
    hits = np.arange(50) % 2 == 0
    assert bootstrap_difference(hits, hits) == (0, 0, 0)


def test_mean_over_sets_weighs_sets_and_not_images() -> None:
    large, small = np.ones(900, bool), np.zeros(100, bool)
    assert bootstrap_mean_of_shares([large, small]) == pytest.approx((0.5, 0.5, 0.5))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = np.random.default_rng(1)
    found = [bootstrap_mean(chance.random(40)) for _ in range(200)]
    assert 0.88 < np.mean([one.low <= 0.5 <= one.high for one in found]) < 0.99
    width = np.mean([one.high - one.low for one in found])
    assert width == pytest.approx(2 * 1.96 * (1 / 12 / 40) ** 0.5, rel=0.1)
    assert bootstrap_mean(np.arange(5.0)) == bootstrap_mean(np.arange(5.0))


@pytest.mark.parametrize("count", [2, 5, 40, 480])
def test_the_bootstrap_of_a_mean_is_scipys(count: int) -> None:
    values = np.random.default_rng(count).normal(3, 2, count)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    assert bootstrap_mean(values) == pytest.approx((values.mean(), theirs.low, theirs.high), rel=1e-12)


def test_what_is_not_known_is_left_out_of_a_mean() -> None:
    values = np.array([1.0, math.nan, 3.0])
    assert bootstrap_mean(values) == bootstrap_mean(values[[0, 2]])
    assert all(math.isnan(end) for end in bootstrap_mean(values[1:2]))
    assert bootstrap_mean(values[:1]) == (1, 1, 1)


def test_students_interval_is_scipys_and_a_single_run_has_none() -> None:
    values = np.array([3.0, 5.0, 4.5, 7.0])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert student_mean(values) == pytest.approx((values.mean(), *expected))
    alone = student_mean(values[:1])
    assert alone.value == 3
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)
    assert math.isnan(alone.half_width)


def test_half_the_width_is_the_number_after_plus_minus() -> None:
    assert Interval(5.0, 4.0, 7.0).half_width == 1.5
