"""A masker in as few lines as possible: patches whose pixels vary most are kept."""

import torch
from torch import Tensor

from pgsclip.masking.contract import MaskerParams, MaskScores
from pgsclip.masking.pixels import grid_of, patchify


class ContrastParams(MaskerParams):
    noise: float = 0.1
    """Chance added to the scores, so that views of one image differ."""


class ContrastMasker:
    """Keeps the patches whose pixels vary most."""

    Params = ContrastParams
    chooses_ratio = False

    def __init__(self, params: ContrastParams) -> None:
        self.params = params

    def __call__(self, images: Tensor, patches: Tensor, *, progress: float, generator: torch.Generator) -> MaskScores:
        pixels = patchify(images, grid_of(images.shape[2], images.shape[3], patches.shape[1])).float()
        noise = torch.rand(patches.shape[:2], generator=generator, device=images.device)
        return MaskScores(pixels.std(dim=2, correction=0) + self.params.noise * noise)
