"""No mask: plain CLIP (arXiv 2103.00020)."""

from __future__ import annotations

from typing import ClassVar

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores


class KeepAll:
    """Shows every patch; the baseline."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: MaskerParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        # Drawn, not constant: whoever gives it a ratio all the same gets an unbiased choice and no warning needed.
        return MaskScores(inputs.uniform())
