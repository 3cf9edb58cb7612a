"""Sorted groups: rows of unequal length in few passes of equal length, without padding masks."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

Group = tuple[Tensor, int]
"""Rows of the batch (b,) int64, and the largest count among them."""


def sorted_groups(counts: Int[Tensor, " B"], groups: int) -> list[Group]:
    """Sort the batch by count and cut it into `groups` nearly equal runs, each as long as its longest row.

    The number of groups and their sizes depend on B and `groups` only, so all ranks run equally many passes of one
    shape. One host read of as many integers as there are groups.

    Args:
        counts: patches that each row wants.
        groups: passes at most; fewer when the batch is smaller.
    """
    batch = len(counts)
    groups = min(groups, batch)
    ordered, order = torch.sort(counts, stable=True)
    ends = [batch * (number + 1) // groups for number in range(groups)]
    largest = ordered[torch.tensor(ends, device=counts.device) - 1].tolist()
    return _cut(order, ends, largest)


def tight_groups(lengths: Int[Tensor, " B"], groups: int) -> list[Group]:
    """Sort the batch by length and cut it into `groups` runs where the padding to their longest is least.

    A few long captions among many short ones get a pass of their own. The number of groups depends on B and `groups`
    only, as with `sorted_groups`; their sizes do not.

    Args:
        lengths: tokens of each row, on the CPU.
        groups: passes at most; fewer when the batch is smaller.
    """
    groups = min(groups, len(lengths))
    ordered, order = torch.sort(lengths, stable=True)
    ends = _tightest(ordered.numpy(), groups)
    return _cut(order, ends, ordered[torch.tensor(ends, dtype=torch.long) - 1].tolist())


def _cut(order: Tensor, ends: list[int], largest: list[int]) -> list[Group]:
    starts = [0, *ends[:-1]]
    return [(order[start:end], int(most)) for start, end, most in zip(starts, ends, largest, strict=True)]


def _tightest(ordered: np.ndarray, groups: int) -> list[int]:
    """Ends of the runs of sorted lengths with the least sum of run size times longest, by dynamic programming.

    A run may as well end where a length does. Where there are fewer lengths than groups, the last rows follow alone.
    """
    found, counts = np.unique(ordered, return_counts=True)
    until = np.concatenate([[0], np.cumsum(counts)])  # rows up to each length
    cuts = min(groups, len(found))
    size = until[None, 1:] - until[:-1, None]  # [i, j]: rows of the lengths i to j
    cost = np.where(size > 0, size * found[None, :], np.inf)
    best = cost[0]  # of all rows up to length j, in one run
    chosen = []
    for _ in range(cuts - 1):
        ways = np.concatenate([[np.inf], best[:-1]])[:, None] + cost  # [i, j]: the last run holds lengths i to j
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
