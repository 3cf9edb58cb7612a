"""How sure a share of right answers is, and the difference of two on the same questions.

The bootstrap of a mean of zeros and ones needs no drawing of indices: the number of ones in n draws is binomial, and
the numbers of wins and losses of a pair are multinomial.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

DRAWS = 10_000
_TAILS = (2.5, 97.5)


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def unpack(outcomes: str, count: int) -> Bool[np.ndarray, " Q"]:
    """The answers that a result holds, one bit each."""
    return np.unpackbits(np.frombuffer(base64.b64decode(outcomes), np.uint8))[:count].astype(bool)


def interval(hits: Bool[np.ndarray, " Q"], seed: int = 0) -> Interval:
    """Share of right answers."""
    drawn = np.random.default_rng(seed).binomial(len(hits), hits.mean(), DRAWS) / len(hits)
    low, high = np.percentile(drawn, _TAILS)
    return Interval(float(hits.mean()), float(low), float(high))


def paired(ours: Bool[np.ndarray, " Q"], theirs: Bool[np.ndarray, " Q"], seed: int = 0) -> Interval:
    """Difference of two shares on the same questions, in the same order."""
    gain, loss = float((ours & ~theirs).mean()), float((~ours & theirs).mean())
    drawn = np.random.default_rng(seed).multinomial(len(ours), [gain, loss, max(0.0, 1 - gain - loss)], DRAWS)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / len(ours), _TAILS)
    return Interval(gain - loss, float(low), float(high))


def mean_interval(groups: list[Bool[np.ndarray, " _"]], seed: int = 0) -> Interval:
    """Mean over sets of their shares, each set drawn anew on its own."""
    chance = np.random.default_rng(seed)
    drawn = np.mean([chance.binomial(len(hits), hits.mean(), DRAWS) / len(hits) for hits in groups], axis=0)
    low, high = np.percentile(drawn, _TAILS)
    return Interval(float(np.mean([hits.mean() for hits in groups])), float(low), float(high))
