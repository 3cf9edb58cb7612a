"""Score the patches, keep the best: the one step that every masker shares."""

from __future__ import annotations

from typing import NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.bucketing import PatchBucket, cut_into_buckets
from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskScores


def count_kept(patches: int, ratio: float) -> int:
    """Count those of `patches` that stay when `ratio` of them is removed: at least one."""
    return max(1, round(patches * (1 - ratio)))


def select(keep: Float[Tensor, "B L"], ratio: float, generator: torch.Generator) -> Int[Tensor, "B K"]:
    """Select the best `count_kept(L, ratio)` patches of each image, ascending and unique.

    Equal scores fall by the generator, never by place: in sort order the bottom rows of every flat image would go.
    """
    return rank(keep, generator)[:, : count_kept(keep.shape[1], ratio)].sort(dim=1).values


def choose(
    scores: MaskScores, ratio: Ratio, generator: torch.Generator, max_passes: int, *, exactly: bool = False
) -> list[PatchBucket]:
    """Choose the patches of a batch that are kept, in buckets of images that keep equally many.

    A fixed ratio is one bucket and waits for nothing on the device. With a range each image removes the share that
    the masker asked for, clamped; in its bucket it may keep a few patches more than that, never fewer.

    Args:
        max_passes, exactly: as `cut_into_buckets` takes them.

    Raises:
        MaskerError: a range was given and the scores carry no ratio per image.
    """
    keep = scores.keep.float()
    if not ratio.is_range:
        return [PatchBucket(torch.arange(len(keep), device=keep.device), select(keep, ratio.high, generator))]
    ranked = rank(keep, generator)
    buckets = cut_into_buckets(count_wanted(scores, ratio), max_passes, exactly=exactly)
    return [PatchBucket(rows, ranked[rows, :count].sort(dim=1).values) for rows, count in buckets]


def count_wanted(scores: MaskScores, ratio: Ratio) -> Int[Tensor, " B"]:
    """Count the patches that each image keeps under a range.

    Raises:
        MaskerError: the scores carry no ratio per image.
    """
    if scores.ratio is None:
        refuse_range("given", ratio)
    patches = scores.keep.shape[1]
    wanted = (patches * (1 - scores.ratio.float())).round().long()
    # Clamped as counts: in float32 an image at the edge of the range could round to another count than a fixed ratio.
    return wanted.clamp(count_kept(patches, ratio.high), count_kept(patches, ratio.low))


def refuse_range(name: str, ratio: Ratio) -> NoReturn:
    """Say that a masker cannot choose a ratio per image."""
    raise MaskerError(
        f"The masker {name!r} does not choose a ratio per image, so it cannot take the range {ratio}. "
        f"Give one ratio, such as {ratio.high:g}, or a masker that chooses, such as pgs."
    )


def select_each(scores: MaskScores, ratio: Ratio, generator: torch.Generator) -> list[Int[Tensor, " K"]]:
    """Select the kept patches of each image on its own, ascending: no image keeps more than it asked for.

    Raises:
        MaskerError: the scores carry no ratio per image.
    """
    ranked = rank(scores.keep.float(), generator)
    counts = count_wanted(scores, ratio).tolist()
    return [row[:count].sort().values for row, count in zip(ranked, counts, strict=True)]


def rank(keep: Float[Tensor, "B L"], generator: torch.Generator) -> Int[Tensor, "B L"]:
    """Rank the patches of each image, best first; equal scores in an order drawn from the generator."""
    shuffle = torch.rand(keep.shape, generator=generator, device=keep.device).argsort(dim=1)
    order = keep.gather(1, shuffle).argsort(dim=1, descending=True, stable=True)
    return shuffle.gather(1, order)
