"""Sorted groups: rows of unequal length in few passes of equal length, without padding masks."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

Group = tuple[Tensor, int]
"""Rows of the batch (b,) int64, and the largest count among them."""


def sorted_groups(counts: Int[Tensor, " B"], groups: int) -> list[Group]:
    """Sort the batch by count and cut it into `groups` nearly equal runs, each as long as its longest row.

    The number of groups depends on B and `groups` only, so all ranks run equally many passes. One host read of as
    many integers as there are groups; none for counts that are on the CPU already.

    Args:
        counts: patches or tokens that each row wants.
        groups: passes at most; fewer when the batch is smaller.
    """
    batch = len(counts)
    groups = min(groups, batch)
    ordered, order = torch.sort(counts, stable=True)
    ends = [batch * (number + 1) // groups for number in range(groups)]
    largest = ordered[torch.tensor(ends, device=counts.device) - 1].tolist()
    starts = [0, *ends[:-1]]
    return [(order[start:end], int(most)) for start, end, most in zip(starts, ends, largest, strict=True)]
