"""Captions as they are."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.contract import MaskerParams


class KeepAllWords:
    """Shows captions whole; the baseline."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    needs_counts: ClassVar[bool] = False

    def __init__(self, params: MaskerParams, counts: Int[Tensor, " V"] | None = None) -> None:
        self.params = params

    def __call__(
        self,
        texts: Int[Tensor, "B N"],
        lengths: Int[Tensor, " B"],
        *,
        progress: float,
        generator: torch.Generator,
    ) -> Float[Tensor, "B N"]:
        return torch.rand(texts.shape, generator=generator, device=texts.device)
