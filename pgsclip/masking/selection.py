"""Score the patches, keep the best: the one step that every masker shares."""

from __future__ import annotations

from typing import NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.bucketing import sorted_groups
from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskScores

Chosen = tuple[Tensor, Tensor]
"""Rows of the batch (b,) int64, and their kept patches (b, K) int64, ascending."""


def kept_count(patches: int, ratio: float) -> int:
    """How many of `patches` stay when `ratio` of them is removed: at least one."""
    return max(1, round(patches * (1 - ratio)))


def select(keep: Float[Tensor, "B L"], ratio: float, generator: torch.Generator) -> Int[Tensor, "B K"]:
    """The best `kept_count(L, ratio)` patches of each image, ascending and unique.

    Equal scores fall by the generator, never by place: in sort order the bottom rows of every flat image would go.
    """
    return _best(keep, kept_count(keep.shape[1], ratio), generator)


def choose(
    scores: MaskScores, ratio: Ratio, generator: torch.Generator, groups: int, *, always: bool = False
) -> list[Chosen]:
    """The kept patches of a batch, as groups of rows with equally many patches.

    A fixed ratio is one group and waits for nothing on the device. With a range each image removes the share that
    the masker asked for, clamped; its group may keep a few patches more than that, never fewer.

    Args:
        groups, always: of `sorted_groups`.

    Raises:
        MaskerError: a range was given and the scores carry no ratio per image.
    """
    keep = scores.keep.float()
    if not ratio.is_range:
        return [(torch.arange(len(keep), device=keep.device), select(keep, ratio.high, generator))]
    ranked = ranking(keep, generator)
    counts = wanted_counts(scores, ratio)
    cut = sorted_groups(counts, groups, always=always)
    return [(rows, ranked[rows, :most].sort(dim=1).values) for rows, most in cut]


def wanted_counts(scores: MaskScores, ratio: Ratio) -> Int[Tensor, " B"]:
    """How many patches each image keeps under a range.

    Raises:
        MaskerError: the scores carry no ratio per image.
    """
    if scores.ratio is None:
        refuse_range("given", ratio)
    patches = scores.keep.shape[1]
    wanted = (patches * (1 - scores.ratio.float())).round().long()
    # Clamped as counts: in float32 an image at the edge of the range could round to another count than a fixed ratio.
    return wanted.clamp(kept_count(patches, ratio.high), kept_count(patches, ratio.low))


def refuse_range(name: str, ratio: Ratio) -> NoReturn:
    """Say that a masker cannot choose a ratio per image."""
    raise MaskerError(
        f"The masker {name!r} does not choose a ratio per image, so it cannot take the range {ratio}. "
        f"Give one ratio, such as {ratio.high:g}, or a masker that chooses, such as pgs."
    )


def exact(scores: MaskScores, ratio: Ratio, generator: torch.Generator) -> list[Tensor]:
    """Kept patches of each image on its own, (K_i,) ascending: no image keeps more than it asked for."""
    ranked = ranking(scores.keep.float(), generator)
    return [row[:count].sort().values for row, count in zip(ranked, wanted_counts(scores, ratio).tolist(), strict=True)]


def _best(keep: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return ranking(keep, generator)[:, :count].sort(dim=1).values


def ranking(keep: Tensor, generator: torch.Generator) -> Tensor:
    """(B, L) patch numbers, best first; equal scores in an order drawn from the generator."""
    shuffle = torch.rand(keep.shape, generator=generator, device=keep.device).argsort(dim=1)
    order = keep.gather(1, shuffle).argsort(dim=1, descending=True, stable=True)
    return shuffle.gather(1, order)
