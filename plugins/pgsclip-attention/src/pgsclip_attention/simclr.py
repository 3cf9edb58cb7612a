"""SimCLR between views (arXiv 2002.05709, section 2.1, equation 1), as A-CLIP adds it to its masked views.

Sizes, temperature 0.1 and weight 1 are those of the authors' code (github.com/microsoft/A-CLIP, losses.py and
models.py): three layers, 4096 wide, to 256. How we differ: that code compares the first view with itself (`aug1_embed`
and `aug2_embed` are the same rows), where the paper, and we, compare the views; batch norms use one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.params import PluginParams
from pgsclip.distributed import gather_features, get_rank
from pgsclip.losses.auxiliary import Seen, Sizes


class SimClrParams(PluginParams):
    weight: float = Field(default=1.0, gt=0)
    """Of the term beside the contrastive loss, whose weight is 1."""
    temperature: float = Field(default=0.1, gt=0)
    """Cosines are divided by it."""
    hidden: int = Field(default=4096, gt=0)
    """Width of the head."""
    size: int = Field(default=256, gt=0)
    """Of what is compared."""


class SimClr(nn.Module):
    """Views of one image find each other among all images of the batch (SimCLR)."""

    Params: ClassVar[type[PluginParams]] = SimClrParams
    fewest_views: ClassVar[int] = 2
    wants_masker_features: ClassVar[bool] = False

    def __init__(self, params: SimClrParams, sizes: Sizes) -> None:
        super().__init__()
        self.params = params
        self.head = nn.Sequential(
            nn.Linear(sizes.width, params.hidden),
            nn.BatchNorm1d(params.hidden, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(params.hidden, params.hidden),
            nn.BatchNorm1d(params.hidden, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(params.hidden, params.size),
        )

    def features(self, seen: Seen) -> dict[str, Tensor]:
        made = self.head(seen.pooled.flatten(0, 1))
        return {"embedding": made.unflatten(0, seen.pooled.shape[:2])}

    def forward(self, features: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        views = F.normalize(features["embedding"], dim=-1).unbind(1)
        pairs = [self._between(one, other) for one, other in combinations(views, 2)]
        return self.params.weight * torch.stack(pairs).mean()

    def _between(self, one: Float[Tensor, "B S"], other: Float[Tensor, "B S"]) -> Float[Tensor, ""]:
        all_ones, all_others = gather_features(one), gather_features(other)
        first = get_rank() * len(one)
        match = torch.arange(first, first + len(one), device=one.device)
        oneself = F.one_hot(match, len(all_ones)).bool()

        def finds(rows: Tensor, wanted: Tensor, own_kind: Tensor) -> Tensor:
            alike = (rows @ own_kind.mT).masked_fill(oneself, -torch.inf)
            return F.cross_entropy(torch.cat([rows @ wanted.mT, alike], dim=1) / self.params.temperature, match)

        return (finds(one, all_others, all_ones) + finds(other, all_ones, all_others)) / 2
