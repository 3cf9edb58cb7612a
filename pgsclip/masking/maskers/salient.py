"""Our own: keep what does not look like the border of the picture.

The border is mostly background (the boundary prior of Wei et al., "Geodesic Saliency Using Background Priors", ECCV
2012), so each patch is judged by how novel its colour and texture are among patches drawn from the border. Novelty is
measured in the border's own distances: on gravel the border's patches are far from each other and a stone is no object,
on a sky they are close and a bird is. Figures and what did not help are in docs/fidelity.md.

Chance enters twice, so that views differ although the object stays: half of the border is drawn anew for every view,
and noise as large as the differences among background patches shuffles those. An object stands out by more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.border_novelty import appearance, novelty, smooth
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.similarity import drop_rounding_noise


class SalientParams(MaskerParams):
    renamed: ClassVar[Mapping[str, str]] = {"rim_share": "border_share", "strange": "background_quantile"}

    border_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the border's patches that are drawn as background for a view."""
    noise: float = Field(default=0.25, ge=0)
    """Noise on the scores, against distances of 2 among the border's own patches; more gives views that differ more."""
    colour: float = Field(default=2.0, ge=0)
    """Weight of hue against brightness."""
    texture: float = Field(default=1.0, ge=0)
    """Weight of texture (deviation within a patch, gradients) against mean colour."""
    smooth: float = Field(default=0.5, ge=0, le=1)
    """Share of a patch's score that is the mean of its 3 x 3 neighbourhood."""
    background_quantile: float = Field(default=0.9, ge=0, le=1)
    """Under a range: patches no more novel than this share of the border are asked to go."""


class SalientExplanation(NamedTuple):
    """What led to the scores of a batch; for pictures and tests."""

    border: Int[Tensor, "B N"]
    """Patches that were drawn as background."""
    novelty: Float[Tensor, "B L"]
    """Smoothed, before noise."""
    scores: MaskScores


class SalientMasker:
    """Keeps what differs in colour and texture from the picture's border, in views that differ."""

    Params: ClassVar[type[MaskerParams]] = SalientParams
    chooses_ratio: ClassVar[bool] = True

    def __init__(self, params: SalientParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return self.explain(inputs).scores

    def explain(self, inputs: MaskInputs) -> SalientExplanation:
        """Return the scores with everything that led to them; draws exactly what a call draws."""
        images, grid, params = inputs.images, inputs.grid, self.params
        border = draw_border(grid, len(images), params.border_share, inputs.generator)
        if grid.patches == 1:
            nothing = images.new_zeros(len(images), 1, dtype=torch.float32)
            return SalientExplanation(border, nothing, MaskScores(nothing, nothing[:, 0]))
        appearances = appearance(images, grid, params.colour, params.texture)
        novel = smooth(novelty(appearances, border), grid, params.smooth)
        usual = novel.gather(1, border).quantile(params.background_quantile, dim=1, keepdim=True)
        ratio = (novel <= usual).float().mean(dim=1)
        gumbel = -(-inputs.uniform().clamp(1e-9, 1 - 1e-6).log()).log()
        scores = MaskScores(drop_rounding_noise(novel) + params.noise * gumbel, ratio)
        return SalientExplanation(border, novel, scores)


def draw_border(grid: Grid, batch: int, share: float, generator: torch.Generator) -> Int[Tensor, "B N"]:
    """Draw patches of the outermost ring without putting back; at least four, or all of a smaller ring."""
    ring = torch.ones(grid.rows, grid.columns, dtype=torch.bool)
    ring[1:-1, 1:-1] = False
    places = ring.flatten().nonzero().squeeze(1).to(generator.device)
    wanted = min(len(places), max(4, round(share * len(places))))
    order = torch.rand(batch, len(places), generator=generator, device=generator.device).argsort(dim=1)
    return places[order[:, :wanted]]
