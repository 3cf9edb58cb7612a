"""FLIP: "Scaling Language-Image Pre-training via Masking", arXiv 2212.00794, section 3."""

from __future__ import annotations

from typing import ClassVar

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores


class RandomMasker:
    """Hides patches drawn uniformly at random (FLIP)."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: MaskerParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return MaskScores(inputs.uniform())
