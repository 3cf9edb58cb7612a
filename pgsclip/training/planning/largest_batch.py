"""The largest batch that fits into a memory, found with few trials, from small to large.

A step takes what lies there between steps and something for each pair, so a line through the first and one trial
tells how large a batch may be. In a step of few pairs the gradients take more than the activations; the line through
such a trial is too steep, which errs to the safe side, and the next trial corrects it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

_LEAP = 16
"""The farthest that a line is trusted."""
_TRIALS = 8
_FINENESS = 16
"""A tidy number is one of so many between it and its half; less than one part more is not worth a trial."""


class Trial(NamedTuple):
    """Memory of a step, in bytes."""

    resting: int
    """Between steps."""
    peak: int

    def promises(self, size: int, limit: int) -> int:
        """The size that meets the limit, when a step of `size` took this."""
        rise = max(self.peak - self.resting, 1)
        return min(size * (limit - self.resting) // rise, _LEAP * size)


@dataclass(frozen=True)
class Largest:
    """What was found, and by which trials."""

    size: int | None
    """None where not even the smallest fits."""
    tried: dict[int, Trial | None]
    """By size; None where memory ran out."""


def largest_that_fits(trial: Callable[[int], Trial | None], *, limit: int, unit: int, most: int) -> Largest:
    """Try tidy multiples of `unit`, or `most` itself.

    Args:
        trial: makes steps of a size; None when they ran out of memory.
        limit: in bytes.
        unit: the smallest size too.
        most: the largest size, at least `unit`.
    """
    tried: dict[int, Trial | None] = {}
    best, beyond = 0, most + 1
    size: int = unit
    while best < size < beyond and len(tried) < _TRIALS:
        found = tried[size] = trial(size)
        if found is not None and found.peak <= limit:
            best, promised = size, found.promises(size, limit)
        else:
            beyond = size
            promised = (best + size) // 2 if found is None else found.promises(size, limit)
        if best == 0:
            break
        if len(tried) == 1:
            promised = unit * round(promised / unit)
        size = most if promised >= most else tidy(min(promised, beyond - 1), unit)
        if size < best * (1 + 1 / _FINENESS) and size < most:
            break
    return Largest(best or None, tried)


def tidy(size: int, unit: int) -> int:
    """The next multiple of `unit` times a power of two below `size`, coarser for larger sizes; at least `unit`."""
    step = unit
    while step * 2 * _FINENESS <= size:
        step *= 2
    return max(unit, size // step * step)
