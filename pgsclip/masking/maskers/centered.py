"""GLIP: centred masking, where patches near the middle are more likely to stay.

The rule as published: keep the top k of U(0, 1) - (1 - pdf), with a Gaussian of covariance 0.2 on a [-1, 1] grid. We
scale the pdf to 1 at its peak, as a probability of staying; for non-square images each axis spans [-1, 1].
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores


class CenteredParams(MaskerParams):
    covariance: float = Field(default=0.2, gt=0)
    """Of the Gaussian on a [-1, 1] grid; larger is closer to random."""


class CenteredMasker:
    """Hides patches at random, more of them towards the border (GLIP)."""

    Params: ClassVar[type[MaskerParams]] = CenteredParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: CenteredParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        down = _axis(inputs.grid.rows, inputs.images.device)[:, None]
        across = _axis(inputs.grid.columns, inputs.images.device)[None, :]
        likely = torch.exp(-(down**2 + across**2) / (2 * self.params.covariance)).flatten()
        return MaskScores(inputs.uniform() - (1 - likely))


def _axis(count: int, device: torch.device) -> Tensor:
    """Centres of `count` patches on [-1, 1]; a single patch sits in the middle."""
    if count == 1:
        return torch.zeros(1, device=device)
    return torch.linspace(-1, 1, count, device=device)
