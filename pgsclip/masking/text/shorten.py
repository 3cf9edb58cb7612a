"""The best tokens of each caption, in their order: the one step that every text masker shares."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.selection import rank


def shorten(
    texts: Int[Tensor, "B N"],
    lengths: Int[Tensor, " B"],
    scores: Float[Tensor, "B N"],
    budget: int,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "B M"], Int[Tensor, " B"]]:
    """Captions of at most `budget` tokens, and their new lengths; a caption that fits stays as it is.

    Start and end of text always stay. Equal scores fall by the generator.

    Args:
        lengths: tokens up to and including the end of text, on any device; the new ones are on the same.
        budget: tokens in all, at least 3.
    """
    budget = min(budget, texts.shape[1])
    places = torch.arange(texts.shape[1], device=texts.device)
    ends = lengths.to(texts.device, non_blocking=True)[:, None] - 1
    held = scores.float().masked_fill(places > ends, -torch.inf)
    held = held.masked_fill((places == 0) | (places == ends), torch.inf)
    best = rank(held, generator)[:, :budget]
    # Tied padding falls by chance, but all of it is zero and stands behind the end.
    return texts.gather(1, best.sort(dim=1).values), lengths.clamp(max=budget)
