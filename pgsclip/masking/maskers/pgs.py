"""CLIP-PGS: "Seeing What Matters", CVPR 2025, arXiv 2503.17080, section 3: Patch Generation-to-Selection.

Candidates are drawn among patches without much edge, the patches most similar to a candidate go with it, and edges
hold the growth back, until the ratio is reached. Where the released code departs from these words, we follow the
words; docs/fidelity.md lists every choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.candidates import draw_candidates, nearness_to_border
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.edges import canny_edges, sobel_edges
from pgsclip.masking.exact_transport import solve_exactly
from pgsclip.masking.pixels import coarsen, patchify, shrink
from pgsclip.masking.similarity import blend_similarity, drop_rounding_noise, scale_to_unit_range
from pgsclip.masking.transport import balance_similarity, solve_potentials, spread_patches


class PgsParams(MaskerParams):
    renamed: ClassVar[Mapping[str, str]] = {
        "seed_share": "candidate_share",
        "rim_pull": "border_bias",
        "features": "use_embeddings",
    }
    renamed_values: ClassVar[Mapping[str, Mapping[Any, Any]]] = {"growth": {"sum": "mean"}}

    candidate_share: float = Field(default=0.05, gt=0, le=1)
    """Share of patches drawn as candidates."""
    edges: Literal["sobel", "canny"] | bool = "sobel"
    """Edge detector; false turns edge protection off."""
    edge_scale: float = Field(default=1.0, ge=0, le=1)
    """Sobel on the mean luma of squares of this share of a patch's side; 0 is pixel by pixel."""
    edge_weight: float = Field(default=0.5, ge=0)
    """How strongly an edge holds a patch back, against a similarity scaled to [0, 1]."""
    growth: Literal["mean", "max"] = "mean"
    """A patch goes by its similarity to all candidates, or to the nearest: one stray candidate then takes its kind."""
    border_bias: float = Field(default=0.0, ge=0)
    """Draws candidates more often near the picture's border: exp(border_bias) times as often there as in the middle."""
    transport: bool = True
    """Balance the similarity to the candidates by optimal transport."""
    temperature: float = Field(default=0.2, ge=0.04)
    """Of the transport kernel exp(similarity / temperature)."""
    iterations: int = Field(default=10, ge=1)
    """Rounds of Sinkhorn's scaling."""
    solver: Literal["scaling", "pot"] = "scaling"
    """`pot` solves the transport to convergence among all patches, slowly; iterations and landmarks are then unused."""
    landmarks: int | None = Field(default=49, ge=1)
    """At least so many patches, evenly spread, are balanced among themselves, and the rest against them; null: all."""
    detail: int | None = Field(default=4, ge=1)
    """Pixels are compared as means of so many squares along a patch's side, or a few more; null: pixel by pixel."""
    use_embeddings: bool = True
    """Blend embeddings in as training goes on; false looks at pixels only."""
    threshold: float = Field(default=0.75, ge=-1, le=1)
    """Under a range: an unprotected patch whose cosine with a candidate is above this is asked to go."""


class PgsExplanation(NamedTuple):
    """What led to the scores of a batch; for pictures and tests."""

    edges: Float[Tensor, "B L"]
    candidates: Int[Tensor, "B N"]
    plain: Float[Tensor, "B L"]
    """Similarity of each patch to the candidates, scaled to [0, 1] per image, before transport."""
    similarity: Float[Tensor, "B L"]
    """The same after transport."""
    scores: MaskScores


class PgsMasker:
    """Hides what looks like a few background candidates, and holds back at edges (CLIP-PGS)."""

    Params: ClassVar[type[MaskerParams]] = PgsParams
    chooses_ratio: ClassVar[bool] = True

    def __init__(self, params: PgsParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return self.explain(inputs).scores

    def explain(self, inputs: MaskInputs) -> PgsExplanation:
        """The scores with everything that led to them; draws exactly what a call draws."""
        images, grid = inputs.images, inputs.grid
        cells = coarsen(grid, self.params.detail)
        small = shrink(images, grid, cells)
        edges = self._edges(images, grid, small, cells)
        border = self.params.border_bias * nearness_to_border(grid, images.device) if self.params.border_bias else None
        candidates = draw_candidates(edges, self.params.candidate_share, inputs.generator, border)
        pixels = patchify(small, cells)
        embeddings = inputs.patches if self.params.use_embeddings else None
        if self.params.transport:
            exact = self.params.solver == "pot"
            landmarks = spread_patches(grid, None if exact else self.params.landmarks, images.device)
            wanted = torch.cat([landmarks.expand(len(images), -1), candidates], dim=1)
            cosines = blend_similarity(pixels, embeddings, inputs.progress, wanted)
            between, cosines = cosines[:, : len(landmarks)], cosines[:, len(landmarks) :]
            potential = (
                solve_exactly(between, self.params.temperature)
                if exact
                else solve_potentials(between, self.params.temperature, self.params.iterations, landmarks)
            )
            rows = balance_similarity(cosines, potential, candidates)
        else:
            rows = cosines = blend_similarity(pixels, embeddings, inputs.progress, candidates)
        plain, similarity = (scale_to_unit_range(self._grown(parts)) for parts in (cosines, rows))
        keep = drop_rounding_noise(self.params.edge_weight * edges - similarity)
        alike = cosines.amax(dim=1) - self.params.edge_weight * edges > self.params.threshold
        return PgsExplanation(edges, candidates, plain, similarity, MaskScores(keep, alike.float().mean(dim=1)))

    def _grown(self, rows: Float[Tensor, "B N L"]) -> Float[Tensor, "B L"]:
        return rows.mean(dim=1) if self.params.growth == "mean" else rows.amax(dim=1)

    def _edges(self, images: Tensor, grid: Grid, small: Tensor, cells: Grid) -> Tensor:
        if self.params.edges is False:
            return images.new_zeros(len(images), grid.patches, dtype=torch.float32)
        if self.params.edges == "canny":
            return canny_edges(images, grid)
        if self.params.edge_scale == 1:  # luma is linear: means of patches are the same whatever was averaged before
            return sobel_edges(small, cells, 1.0)
        return sobel_edges(images, grid, self.params.edge_scale)
