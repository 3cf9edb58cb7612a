"""FLIP: "Scaling Language-Image Pre-training via Masking", arXiv 2212.00794, section 3."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.masking.contract import MaskerParams, MaskScores


class RandomMasker:
    """Hides patches drawn uniformly at random (FLIP)."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: MaskerParams) -> None:
        self.params = params

    def __call__(
        self,
        images: Float[Tensor, "B 3 H W"],
        patches: Float[Tensor, "B L D"],
        *,
        progress: float,
        generator: torch.Generator,
    ) -> MaskScores:
        return MaskScores(torch.rand(patches.shape[:2], generator=generator, device=patches.device))
