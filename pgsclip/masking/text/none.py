"""Captions as they are."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs


class KeepAllWords:
    """Shows captions whole; the baseline."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    needs_counts: ClassVar[bool] = False

    def __init__(self, params: MaskerParams, counts: Int[Tensor, " V"] | None = None) -> None:
        self.params = params

    def __call__(self, inputs: TextMaskInputs) -> Float[Tensor, "B N"]:
        return inputs.uniform()
