"""An image tower that is small enough for checks: it stands in for the run's where a masker looks with a model."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StubTower:
    """One convolution whose channels are the logits of two layers with two heads."""

    tower: nn.Module

    def __init__(self, side: int, seed: int = 0) -> None:
        self.patch_size = (side, side)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.tower = nn.Conv2d(3, 4, side, side)

    def copy(self) -> StubTower:
        twin = copy.deepcopy(self)
        twin.tower.requires_grad_(False).eval()
        return twin

    @torch.no_grad()
    def attend(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N h L"]]:
        logits: Tensor = self.tower(images.float()).flatten(2)
        return logits.mean(dim=2), logits.reshape(len(images), 2, 2, -1).softmax(dim=-1)
