"""A masker that follows the tower, and a loss with weights of its own that follows itself: all that plugins may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pgsclip.config.params import PluginParams
from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores, Vision


class Follower:
    """Scores by the attention of a moving average of the tower."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: MaskerParams | None = None) -> None:
        self.teacher: Any = None
        self.seen: list[float] = []

    def start(self, vision: Vision) -> None:
        self.teacher = vision.copy()

    def observe(self, vision: Vision, *, progress: float) -> None:
        self.seen.append(progress)
        for mean, weight in zip(self.teacher.tower.parameters(), vision.tower.parameters(), strict=True):
            mean.lerp_(weight.detach(), 0.5)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.teacher.tower.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.teacher.tower.load_state_dict(state)

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        pooled, attention = self.teacher.attend(inputs.images)
        return MaskScores(attention.mean(dim=(1, 2)), features=pooled)


class Agreement(nn.Module):
    """A head reads the teacher's features from the tower's; a buffer counts steps, another follows the head."""

    Params: ClassVar[type[PluginParams]] = PluginParams
    fewest_views: ClassVar[int] = 1
    wants_masker_features: ClassVar[bool] = True
    steps: Tensor
    mean: Tensor

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.width, sizes.width)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", self.head.weight.detach().clone())

    def features(self, seen: Seen) -> dict[str, Tensor]:
        assert seen.masker is not None
        return {"made": self.head(seen.pooled), "wanted": seen.masker @ self.mean}

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        self.steps += 1
        return (features["made"] - features["wanted"]).square().mean()

    def observe(self, *, progress: float) -> None:
        self.mean.lerp_(self.head.weight.detach(), 0.5 * progress)
