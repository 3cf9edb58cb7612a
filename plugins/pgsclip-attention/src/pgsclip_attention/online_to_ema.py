"""A-CLIP's online-to-EMA term (arXiv 2212.08653, section 3): what the tower makes of a masked view predicts what the
mean teacher makes of the whole one, as in BYOL (arXiv 2006.07733).

Sizes, weight and the form 2 - 2 cos are those of the authors' code (github.com/microsoft/A-CLIP, losses.py and
models.py): projector 4096 to 256, predictor 4096 to 256, weight 2 beside the contrastive loss. How we differ: batch
norms use the statistics of one process, and a run with one view has the term too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.params import PluginParams
from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip_attention.schedule import momentum


class OnlineToEmaParams(PluginParams):
    weight: float = Field(default=2.0, gt=0)
    """Of the term beside the contrastive loss, whose weight is 1."""
    momentum: float = Field(default=0.996, ge=0, le=1)
    """Of the mean projector at the start of the run; it grows to 1 along half a cosine, as the teacher's."""
    hidden: int = Field(default=4096, gt=0)
    """Width of projector and predictor."""
    size: int = Field(default=256, gt=0)
    """Of what is compared."""


class OnlineToEma(nn.Module):
    """Masked views predict what the masker's mean teacher makes of the whole image (A-CLIP)."""

    Params: ClassVar[type[PluginParams]] = OnlineToEmaParams
    fewest_views: ClassVar[int] = 1
    wants_masker_features: ClassVar[bool] = True

    def __init__(self, params: OnlineToEmaParams, sizes: Sizes) -> None:
        super().__init__()
        self.params = params
        self.projector = Mlp(sizes.width, params.hidden, params.size)
        self.predictor = Mlp(params.size, params.hidden, params.size)
        self.means = [f"mean_{number}" for number, _ in enumerate(self.projector.parameters())]
        for name, weight in zip(self.means, self.projector.parameters(), strict=True):
            self.register_buffer(name, weight.detach().clone())

    def features(self, seen: Seen) -> dict[str, Tensor]:
        assert seen.masker is not None
        online = self.predictor(self.projector(seen.pooled.flatten(0, 1)))
        with torch.no_grad():
            mean = mlp(seen.masker.flatten(0, 1), *(self.get_buffer(name) for name in self.means))
        views = seen.pooled.shape[:2]
        return {"online": online.unflatten(0, views), "mean": mean.unflatten(0, views)}

    def forward(self, features: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        cosines = F.cosine_similarity(features["online"], features["mean"], dim=-1)
        return self.params.weight * (2 - 2 * cosines).mean()

    def observe(self, *, progress: float) -> None:
        """The mean projector follows."""
        new = 1 - momentum(self.params.momentum, progress)
        for name, weight in zip(self.means, self.projector.parameters(), strict=True):
            self.get_buffer(name).lerp_(weight.detach(), new)


class Mlp(nn.Module):
    """Two layers with a batch norm between, whose statistics are always those of the batch."""

    def __init__(self, width: int, hidden: int, size: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden, track_running_stats=False)
        self.last = nn.Linear(hidden, size, bias=False)

    def forward(self, x: Float[Tensor, "N W"]) -> Float[Tensor, "N S"]:
        return self.last(F.relu(self.norm(self.first(x))))


def mlp(x: Tensor, first: Tensor, gain: Tensor, shift: Tensor, last: Tensor) -> Float[Tensor, "N S"]:
    """`Mlp` with the given weights, in the order of its parameters."""
    hidden = F.batch_norm(F.linear(x, first), None, None, gain, shift, training=True)
    return F.linear(F.relu(hidden), last)
