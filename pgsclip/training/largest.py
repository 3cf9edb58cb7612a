"""The largest batch that fits into a memory, found with few trials: each is a line through the two before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

_FIRST_LEAP = 4
_LEAP = 8
"""The farthest that a line is trusted: beyond small batches it is not the weights that make the peak."""
_FINENESS = 16
"""A tidy number is one of so many between it and its half."""


@dataclass(frozen=True)
class Largest:
    """What was found, and by which trials."""

    size: int | None
    """None where not even the smallest fits."""
    tried: dict[int, int | None] = field(default_factory=dict)
    """Size → bytes, None where memory ran out."""


def largest_that_fits(taken: Callable[[int], int | None], *, limit: int, unit: int, most: int) -> Largest:
    """Search among multiples of `unit`, from small to large, and never beyond what the trials so far promise to fit.

    Args:
        taken: bytes of a trial; None when it ran out of memory.
        limit: in bytes.
        unit: also the smallest size.
        most: the largest size, at least `unit`.
    """
    tried: dict[int, int | None] = {}
    beyond = most + 1
    size = unit
    while size not in tried:
        found = tried[size] = taken(size)
        fits = {one: used for one, used in tried.items() if used is not None and used <= limit}
        if size not in fits:
            beyond = min(beyond, size)
        if not fits:
            break
        size = max(max(fits), tidy(min(_promised(fits, tried, limit), beyond - 1), unit))
    fitting = [one for one, used in tried.items() if used is not None and used <= limit]
    return Largest(max(fitting, default=None), tried)


def _promised(fits: dict[int, int], tried: dict[int, int | None], limit: int) -> int:
    """The size at which the line through the two largest known points meets the limit."""
    best = max(fits)
    if len(fits) == 1:
        return _FIRST_LEAP * best if len(tried) == 1 else (best + min(one for one in tried if one > best)) // 2
    known = sorted((one, used) for one, used in tried.items() if used is not None)
    at = max(number for number, (one, _) in enumerate(known) if one <= best)
    (low, low_bytes), (high, high_bytes) = known[at : at + 2] if at + 1 < len(known) else known[at - 1 : at + 1]
    slope = (high_bytes - low_bytes) / (high - low)
    reached = _LEAP * best if slope <= 0 else low + (limit - low_bytes) / slope
    failed = [one for one, used in tried.items() if used is None]
    if failed and reached >= min(failed):  # where memory ran out there is no point to draw a line to
        reached = (best + min(failed)) / 2
    return int(min(reached, _LEAP * best))


def tidy(size: int, unit: int) -> int:
    """The next multiple of `unit` times a power of two below `size`, coarser for larger sizes; at least `unit`."""
    step = unit
    while step * 2 * _FINENESS <= size:
        step *= 2
    return max(unit, size // step * step)
