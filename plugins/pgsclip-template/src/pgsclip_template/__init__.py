"""A masker in as few lines as possible: patches whose pixels vary most are kept."""

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.pixels import patchify


class ContrastParams(MaskerParams):
    noise: float = 0.1
    """Chance added to the scores, so that views of one image differ."""


class ContrastMasker:
    """Keeps the patches whose pixels vary most."""

    Params = ContrastParams
    chooses_ratio = False

    def __init__(self, params: ContrastParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        spread = patchify(inputs.images, inputs.grid).float().std(dim=2, correction=0)
        return MaskScores(spread + self.params.noise * inputs.uniform())
