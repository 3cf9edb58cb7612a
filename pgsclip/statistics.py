"""Intervals that say how sure a number is: at 95 %, over images, over questions and over runs.

Bootstraps are percentile bootstraps from a fixed seed, so the same values always give the same interval. That of a mean
of zeros and ones needs no drawing of indices: the number of ones in n draws is binomial, and the numbers of wins and
losses of a pair are multinomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import stdtrit

_TAILS = (2.5, 97.5)
_INDEX_DRAWS, _COUNT_DRAWS = 2000, 10_000


class Interval(NamedTuple):
    """A value with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's width: the number after ±."""
        return (self.high - self.low) / 2


def bootstrap_mean(values: Float[np.ndarray, " N"]) -> Interval:
    """Return the mean of any values, NaN left out, with its interval over them."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan)
    draws = np.random.default_rng(0).integers(0, len(values), (_INDEX_DRAWS, len(values)))
    return _interval(float(values.mean()), values[draws].mean(axis=1))


def bootstrap_share(hits: Bool[np.ndarray, " Q"]) -> Interval:
    """Return the share of right answers with its interval over questions."""
    return _interval(float(hits.mean()), _draw_shares(np.random.default_rng(0), hits))


def bootstrap_difference(ours: Bool[np.ndarray, " Q"], theirs: Bool[np.ndarray, " Q"]) -> Interval:
    """Return our share minus theirs, with its interval over questions: the same ones, in the same order."""
    gain, loss = float((ours & ~theirs).mean()), float((~ours & theirs).mean())
    chances = [gain, loss, max(0.0, 1 - gain - loss)]
    drawn = np.random.default_rng(0).multinomial(len(ours), chances, _COUNT_DRAWS)
    return _interval(gain - loss, (drawn[:, 0] - drawn[:, 1]) / len(ours))


def bootstrap_mean_of_shares(sets: Sequence[Bool[np.ndarray, " _"]]) -> Interval:
    """Return the mean over sets of their shares, with its interval when each set is drawn anew on its own."""
    rng = np.random.default_rng(0)
    drawn = np.mean([_draw_shares(rng, hits) for hits in sets], axis=0)
    return _interval(float(np.mean([hits.mean() for hits in sets])), drawn)


def student_mean(values: Float[np.ndarray, " S"]) -> Interval:
    """Return the mean of a few runs with Student's interval; its ends are NaN for a single run."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def _draw_shares(rng: np.random.Generator, hits: Bool[np.ndarray, " Q"]) -> Float[np.ndarray, " D"]:
    return rng.binomial(len(hits), hits.mean(), _COUNT_DRAWS) / len(hits)


def _interval(value: float, drawn: Float[np.ndarray, " D"]) -> Interval:
    low, high = np.percentile(drawn, _TAILS)
    return Interval(value, float(low), float(high))
