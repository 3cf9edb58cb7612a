"""Length bucketing: rows of unequal length in few passes of equal length, without padding masks.

Images that keep unequally many patches and captions of unequal length are the same problem. A mask over padding would
switch the fused attention kernels off, so the batch is sorted and cut into buckets instead, and each runs at the length
of its longest row. docs/design.md has the reasons.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_WORTH_A_PASS = 0.01
"""Share of all rows' lengths that a further pass must spare: each launches all kernels of all layers again."""


class Bucket(NamedTuple):
    """Rows that run in one pass, at the length of the longest."""

    rows: Int[Tensor, " b"]
    """Their places in the batch, int64."""
    length: int


class PatchBucket(NamedTuple):
    """Images that run in one pass, with equally many patches each."""

    rows: Int[Tensor, " b"]
    """Their places in the batch, int64."""
    patches: Int[Tensor, "b K"]
    """The patches that each of them keeps, int64, ascending."""


class Visible(NamedTuple):
    """The part of a batch of images that a tower is shown."""

    buckets: list[PatchBucket]
    """Together they hold every image once."""
    masker_features: Float[Tensor, "B F"] | None = None
    """What a model of the masker's own made of the whole images; None where it has none."""


def cut_into_buckets(lengths: Int[Tensor, " B"], max_passes: int, *, exactly: bool = False) -> list[Bucket]:
    """Sort the batch by length and cut it into buckets, where the padding to the longest of each is least.

    A few long rows among many short ones get a pass of their own. Lengths on a GPU are read once.

    Args:
        lengths: patches or tokens that each row wants.
        max_passes: buckets at most; fewer where a further one spares too little.
        exactly: as many buckets whatever the lengths are (fewer only where there are not as many rows), for ranks that
            must run equally many passes.
    """
    if len(lengths) == 0:
        return [Bucket(lengths.long(), 0)]
    ordered, order = torch.sort(lengths, stable=True)
    known = ordered.cpu().numpy()
    ends = _least_padded(known, max_passes, 0.0 if exactly else _WORTH_A_PASS * float(known.sum()))
    if exactly:
        ends = _with_more(ends, min(max_passes, len(known)) - len(ends))
    return [Bucket(order[start:end], int(known[end - 1])) for start, end in pairwise([0, *ends])]


def _least_padded(ordered: np.ndarray, max_buckets: int, spared: float) -> list[int]:
    """Return the ends of the buckets of sorted lengths whose cost, the sum of rows times longest, is least.

    Dynamic programming over the different lengths, of which there are few, and not over the rows: moving the end of a
    bucket between rows of equal length changes nothing, so a best cut may always end where a length does. With n
    different lengths each bucket more takes n * n additions, done as one array.

    Args:
        ordered: lengths of all rows, ascending.
        max_buckets: at most so many.
        spared: what each further bucket takes off the cost at least.
    """
    values, numbers = np.unique(ordered, return_counts=True)
    until = np.concatenate([[0], np.cumsum(numbers)])  # until[j]: rows shorter than values[j]
    size = until[None, 1:] - until[:-1, None]  # size[i, j]: rows of the lengths i to j, both included
    cost = np.where(size > 0, size * values[None, :], np.inf)  # of these rows as one bucket; i > j is no bucket
    best = cost[0]  # best[j]: the least cost of all rows up to length j, so far in one bucket
    starts: list[np.ndarray] = []  # starts[k][j]: with k + 2 buckets up to length j, the first length of the last one
    while len(starts) + 1 < min(max_buckets, len(values)):
        # ways[i, j]: the last bucket holds the lengths i to j, everything below i is cut as well as it can be
        ways = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        fewer, best = best, ways.min(axis=0)
        if fewer[-1] - best[-1] < spared:
            break
        starts.append(ways.argmin(axis=0))
    # Walk back from the longest row: the last bucket's first length says where the one before it ends.
    ends, last = [len(ordered)], len(values) - 1
    for first in reversed(starts):
        last = int(first[last]) - 1
        ends.append(int(until[last + 1]))
    return ends[::-1]


def _with_more(ends: list[int], more: int) -> list[int]:
    """Return the same buckets, cut once more at `more` further places; what each row is padded to may only shrink."""
    free = [place for place in range(1, ends[-1]) if place not in ends]
    return sorted([*ends, *free[:more]])
