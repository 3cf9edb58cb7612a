"""No mask: plain CLIP (arXiv 2103.00020)."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.masking.contract import MaskerParams, MaskScores


class KeepAll:
    """Shows every patch; the baseline."""

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
        # Drawn, not constant: whoever gives it a ratio all the same gets an unbiased choice and no warning needed.
        return MaskScores(torch.rand(patches.shape[:2], generator=generator, device=patches.device))
