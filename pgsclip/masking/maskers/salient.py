"""Our own: keep what does not look like the rim of the picture.

The rim is mostly background (the boundary prior of Wei et al., "Geodesic Saliency Using Background Priors", ECCV
2012), so each patch is judged by how strange its colour and texture are among patches drawn from the rim. Strangeness
is measured in the rim's own distances: on gravel the rim's patches are far from each other and a stone is no object,
on a sky they are close and a bird is. Figures and what did not help are in docs/fidelity.md.

Chance enters twice, so that views differ although the object stays: half of the rim is drawn anew for every view, and
noise as large as the differences among background patches shuffles those. An object stands out by more than that.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.border_novelty import appearance, smoothed, strangeness
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.similarity import without_noise


class SalientParams(MaskerParams):
    rim_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the rim's patches that are drawn as background for a view."""
    noise: float = Field(default=0.25, ge=0)
    """Of the scores, against distances of 2 among the rim's own patches; more gives views that differ more."""
    colour: float = Field(default=2.0, ge=0)
    """Weight of hue against brightness."""
    texture: float = Field(default=1.0, ge=0)
    """Weight of texture (deviation within a patch, gradients) against mean colour."""
    smooth: float = Field(default=0.5, ge=0, le=1)
    """How much of a patch's score is the mean of its 3 x 3 neighbourhood."""
    strange: float = Field(default=0.9, ge=0, le=1)
    """Under a range: patches no stranger than this share of the rim are asked to go."""


class SalientExplanation(NamedTuple):
    """What led to the scores of a batch; for pictures and tests."""

    rim: Int[Tensor, "B N"]
    strange: Float[Tensor, "B L"]
    """Smoothed, before noise."""
    scores: MaskScores


class SalientMasker:
    """Keeps what differs in colour and texture from the picture's rim, in views that differ."""

    Params: ClassVar[type[MaskerParams]] = SalientParams
    chooses_ratio: ClassVar[bool] = True

    def __init__(self, params: SalientParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return self.explain(inputs).scores

    def explain(self, inputs: MaskInputs) -> SalientExplanation:
        """The scores with everything that led to them; draws exactly what a call draws."""
        images, grid = inputs.images, inputs.grid
        batch = len(images)
        rim = draw_rim(grid, batch, self.params.rim_share, inputs.generator)
        if grid.patches == 1:
            nothing = images.new_zeros(batch, 1, dtype=torch.float32)
            return SalientExplanation(rim, nothing, MaskScores(nothing, nothing[:, 0]))
        looks = appearance(images, grid, self.params.colour, self.params.texture)
        strange = smoothed(strangeness(looks, rim), grid, self.params.smooth)
        usual = strange.gather(1, rim).quantile(self.params.strange, dim=1, keepdim=True)
        ratio = (strange <= usual).float().mean(dim=1)
        gumbel = -(-inputs.uniform().clamp(1e-9, 1 - 1e-6).log()).log()
        scores = MaskScores(without_noise(strange) + self.params.noise * gumbel, ratio)
        return SalientExplanation(rim, strange, scores)


def draw_rim(grid: Grid, batch: int, share: float, generator: torch.Generator) -> Int[Tensor, "B N"]:
    """Patches of the outermost ring, drawn without putting back; at least two, or all of a ring of fewer than four."""
    edge = torch.ones(grid.rows, grid.columns, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    places = edge.flatten().nonzero().squeeze(1).to(generator.device)
    wanted = min(len(places), max(4, round(share * len(places))))
    order = torch.rand(batch, len(places), generator=generator, device=generator.device).argsort(dim=1)
    return places[order[:, :wanted]]
