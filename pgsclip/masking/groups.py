"""Sorted groups: rows of unequal length in few passes of equal length, without padding masks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

Group = tuple[Tensor, int]
"""Rows of the batch (b,) int64, and the largest count among them."""


def sorted_groups(counts: Int[Tensor, " B"], groups: int) -> list[Group]:
    """Sort the batch by count and cut it into `groups` runs, where the padding to the longest of each is least.

    A few large counts among many small ones get a pass of their own. The number of groups depends on B and `groups`
    only, so all ranks run equally many passes; their sizes do not. Counts on a GPU are read once.

    Args:
        counts: patches or tokens that each row wants.
        groups: passes at most; fewer when the batch is smaller.
    """
    groups = min(groups, len(counts))
    ordered, order = torch.sort(counts, stable=True)
    known = ordered.cpu().numpy()
    ends = _tightest(known, groups)
    return [(order[start:end], int(known[end - 1])) for start, end in pairwise([0, *ends])]


def _tightest(ordered: np.ndarray, groups: int) -> list[int]:
    """Ends of the runs of sorted counts with the least sum of run size times longest, by dynamic programming.

    A run may as well end where a count does. Where there are fewer counts than groups, the last rows follow alone.
    """
    found, counts = np.unique(ordered, return_counts=True)
    until = np.concatenate([[0], np.cumsum(counts)])  # rows up to each count
    cuts = min(groups, len(found))
    size = until[None, 1:] - until[:-1, None]  # [i, j]: rows of the counts i to j
    cost = np.where(size > 0, size * found[None, :], np.inf)
    best = cost[0]  # of all rows up to count j, in one run
    chosen = []
    for _ in range(cuts - 1):
        ways = np.concatenate([[np.inf], best[:-1]])[:, None] + cost  # [i, j]: the last run holds counts i to j
        chosen.append(ways.argmin(axis=0))
        best = ways.min(axis=0)
    ends, last = [], len(found) - 1
    for starts in reversed(chosen):
        ends.append(int(until[last + 1]))
        last = int(starts[last]) - 1
    ends = [int(until[last + 1]), *reversed(ends)]
    return _with_more(ends, groups - cuts) if groups > cuts else ends


def _with_more(ends: list[int], more: int) -> list[int]:
    """The same runs with further ends inside them."""
    free = [place for place in range(1, ends[-1]) if place not in ends]
    return sorted([*ends, *free[-more:]])
