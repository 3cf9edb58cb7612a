"""Sorted groups: rows of unequal length in few passes of equal length, without padding masks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

Group = tuple[Tensor, int]
"""Rows of the batch (b,) int64, and the largest count among them."""


_WORTH_A_PASS = 0.01
"""Share of all rows' counts that a further pass must spare: each launches all kernels of all layers again."""


def sorted_groups(counts: Int[Tensor, " B"], groups: int, *, always: bool = False) -> list[Group]:
    """Sort the batch by count and cut it into at most `groups` runs, where the padding to the longest of each is least.

    A few large counts among many small ones get a pass of their own. Counts on a GPU are read once.

    Args:
        counts: patches or tokens that each row wants.
        groups: passes at most; fewer where they spare too little.
        always: as many passes whatever the counts are (fewer only where there are not as many rows), for ranks that
            must run equally many.
    """
    if len(counts) == 0:
        return [(counts.long(), 0)]
    ordered, order = torch.sort(counts, stable=True)
    known = ordered.cpu().numpy()
    ends = _tightest(known, groups, 0.0 if always else _WORTH_A_PASS * float(known.sum()))
    if always:
        ends = _with_more(ends, min(groups, len(known)) - len(ends))
    return [(order[start:end], int(known[end - 1])) for start, end in pairwise([0, *ends])]


def _tightest(ordered: np.ndarray, groups: int, spared: float) -> list[int]:
    """Ends of the runs of sorted counts with the least sum of run size times longest, by dynamic programming.

    A run may as well end where a count does, so there are no more runs than different counts.

    Args:
        spared: what each further run takes off the sum at least.
    """
    found, numbers = np.unique(ordered, return_counts=True)
    until = np.concatenate([[0], np.cumsum(numbers)])  # rows up to each count
    size = until[None, 1:] - until[:-1, None]  # [i, j]: rows of the counts i to j
    cost = np.where(size > 0, size * found[None, :], np.inf)
    best = cost[0]  # of all rows up to count j, in one run
    chosen: list[np.ndarray] = []
    while len(chosen) + 1 < min(groups, len(found)):
        ways = np.concatenate([[np.inf], best[:-1]])[:, None] + cost  # [i, j]: the last run holds the counts i to j
        fewer, best = best, ways.min(axis=0)
        if fewer[-1] - best[-1] < spared:
            break
        chosen.append(ways.argmin(axis=0))
    ends, last = [len(ordered)], len(found) - 1
    for starts in reversed(chosen):
        last = int(starts[last]) - 1
        ends.append(int(until[last + 1]))
    return ends[::-1]


def _with_more(ends: list[int], more: int) -> list[int]:
    """The same runs with further ends inside them."""
    free = [place for place in range(1, ends[-1]) if place not in ends]
    return sorted([*ends, *free[:more]])
