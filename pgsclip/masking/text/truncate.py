"""The first words of a caption (as in "An Inverse Scaling Law for CLIP Training", arXiv 2305.07017, section 3)."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs


class Truncate:
    """Keeps the first words of a caption."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    needs_counts: ClassVar[bool] = False

    def __init__(self, params: MaskerParams, counts: Int[Tensor, " V"] | None = None) -> None:
        self.params = params

    def __call__(self, inputs: TextMaskInputs) -> Float[Tensor, "B N"]:
        places = torch.arange(inputs.ids.shape[1], device=inputs.ids.device, dtype=torch.float32)
        return -places.expand(inputs.ids.shape)
