"""E-CLIP: "Efficient Vision-Language Pre-training by Cluster Masking", CVPR 2024, arXiv 2405.08815.

A few random anchor patches, and every patch that looks like one of them goes with it. The paper searches one
similarity threshold per run so that the mean ratio over a batch meets its target. Here the patches most similar to an
anchor go until the ratio of the image is reached, so an image's mask does not depend on its batch; under a range the
image removes the share of its patches that lies above `threshold`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.pixels import patchify
from pgsclip.masking.similarity import blend_similarity, drop_rounding_noise, to_unit_length

_FLAT = 1e-5
"""Deviation from its mean, as a share of its length, up to which a patch is flat: rounding noise is no pattern."""


class ClusterParams(MaskerParams):
    renamed: ClassVar[Mapping[str, str]] = {"features": "use_embeddings"}

    anchor_share: float = Field(default=0.03, gt=0, le=1)
    """Share of patches drawn as anchors."""
    use_embeddings: bool = True
    """Blend embeddings in as training goes on; false looks at pixels only."""
    threshold: float = Field(default=0.5, ge=-1, le=1)
    """Under a range: patches whose cosine with an anchor is above this are asked to go."""


class ClusterMasker:
    """Hides clusters of look-alike patches around random anchors (E-CLIP)."""

    Params: ClassVar[type[MaskerParams]] = ClusterParams
    chooses_ratio: ClassVar[bool] = True

    def __init__(self, params: ClusterParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        pixels = standardise(patchify(inputs.images, inputs.grid))
        anchors = max(1, round(self.params.anchor_share * inputs.grid.patches))
        drawn = inputs.uniform().argsort(dim=1)[:, :anchors]
        embeddings = inputs.patches if self.params.use_embeddings else None
        nearest = drop_rounding_noise(blend_similarity(pixels, embeddings, inputs.progress, drawn).amax(dim=1))
        return MaskScores(-nearest, (nearest > self.params.threshold).float().mean(dim=1))


def standardise(pixels: Float[Tensor, "B L P"]) -> Float[Tensor, "B L P"]:
    """Each patch at mean 0 and length 1, as the paper compares them; a flat patch becomes 0 and resembles nothing."""
    pixels = pixels.float()
    centred = pixels - pixels.mean(dim=-1, keepdim=True)
    flat = centred.norm(dim=-1, keepdim=True) <= _FLAT * pixels.norm(dim=-1, keepdim=True)
    return to_unit_length(centred.masked_fill(flat, 0))
