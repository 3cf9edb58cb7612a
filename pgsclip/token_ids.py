"""Captions as token ids: start of text, words, end of text, zeros. The end of text is the largest id of its row.

So it is with the tokenizers of CLIP and of open_clip. One that ends captions at another id (XLM's ends at 2) gives
lengths that mean nothing; `TextTower.can_cut` knows such models and runs their captions uncut.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def find_ends(ids: Int[Tensor, "B N"]) -> Int[Tensor, " B"]:
    """Find the place of the end of text in each caption; the first one where it stands twice."""
    return ids.argmax(dim=1)


def count_tokens(ids: Int[Tensor, "B N"]) -> Int[Tensor, " B"]:
    """Count the tokens of each caption up to and including the end of text: its length."""
    return find_ends(ids) + 1


def find_words(ids: Int[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
    """Find what stands between the start and the end of each caption."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return (places > 0) & (places < find_ends(ids).unsqueeze(1))
