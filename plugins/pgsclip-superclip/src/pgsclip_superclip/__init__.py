"""Token classification beside the contrastive loss: "SuperCLIP: CLIP with Simple Classification Supervision", NeurIPS
2025, arXiv 2512.14480; the loss itself is that of SuperClass, "Classification Done Right for Vision-Language
Pre-Training", NeurIPS 2024, arXiv 2411.03313.

A linear layer reads from the image tower's pooled state which tokens the caption holds: the cross-entropy with a target
that spreads over the caption's tokens by their inverse document frequency, log((D + 1) / (df + 1)), counted while
training as in the authors' code (github.com/x-cls/superclass, loss.py). How we differ: start, end and padding are left
out, where there they weigh almost nothing by their frequency; frequencies are counted in whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.params import PluginParams
from pgsclip.distributed import sum_over_ranks
from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip.token_ids import find_words


class TokenClassificationParams(PluginParams):
    weight: float = Field(default=1.0, gt=0)
    """Of the term beside the contrastive loss, whose weight is 1."""


class TokenClassification(nn.Module):
    """Each view tells which tokens its caption holds, rare ones first (SuperCLIP)."""

    Params: ClassVar[type[PluginParams]] = TokenClassificationParams
    fewest_views: ClassVar[int] = 1
    wants_masker_features: ClassVar[bool] = False

    captions: Tensor
    holding: Tensor

    def __init__(self, params: TokenClassificationParams, sizes: Sizes) -> None:
        super().__init__()
        self.params = params
        self.head = nn.Linear(sizes.width, sizes.vocabulary)
        self.register_buffer("captions", torch.zeros((), dtype=torch.int64))
        self.register_buffer("holding", torch.zeros(sizes.vocabulary, dtype=torch.int64))

    def features(self, seen: Seen) -> dict[str, Tensor]:
        return {"logits": self.head(seen.pooled), "tokens": seen.tokens}

    def forward(self, features: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        logits = features["logits"]
        held = words(features["tokens"], logits.shape[-1])
        self._count(held)
        weights = ((self.captions + 1) / (self.holding + 1)).log()
        target = F.normalize(held * weights, p=1, dim=1)
        costs = -(logits.log_softmax(dim=-1) * target[:, None]).sum(dim=-1)
        return self.params.weight * costs.mean()

    @torch.no_grad()
    def _count(self, held: Float[Tensor, "B C"]) -> None:
        """Captions so far, of all processes, and how many of them hold each token."""
        counts = torch.cat([held.sum(dim=0).long(), torch.tensor([len(held)], device=held.device)])
        counts = sum_over_ranks(counts)
        self.holding += counts[:-1]
        self.captions += counts[-1]


def words(tokens: Int[Tensor, "B N"], vocabulary: int) -> Float[Tensor, "B C"]:
    """Mark each token between start and end of a caption with 1, however often it stands there."""
    held = torch.zeros(len(tokens), vocabulary, device=tokens.device)
    held.scatter_(1, tokens.where(find_words(tokens), 0), 1.0)
    held[:, 0] = 0.0  # where everything that is no word was marked
    return held
