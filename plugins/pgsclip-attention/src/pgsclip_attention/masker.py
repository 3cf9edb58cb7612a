"""The attentive mask of "Attentive Mask CLIP" (A-CLIP), ICCV 2023, arXiv 2212.08653, section 3.

A mean teacher, the exponential moving average of the image tower, looks at the whole image; a patch scores what its
class token attends to it, averaged over all layers and heads, and 2 x 2 cells of patches stay or go together.
A-CLIP-eff lets the teacher look at half the resolution, where a cell is one patch.

How we differ: the teacher looks at each view by itself, where A-CLIP looks once at an image around both crops and cuts
its map out; the number of patches is exactly what the ratio asks for, so that a cell may be cut, where the authors'
code keeps one cell more than half of 49.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pgsclip.errors import MaskerError
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores, Vision
from pgsclip_attention.schedule import momentum


class AttentionParams(MaskerParams):
    momentum: float = Field(default=0.996, ge=0, le=1)
    """Of the teacher at the start of the run; it grows to 1 along half a cosine."""
    cell: int = Field(default=2, ge=1)
    """Patches on a side of what stays or goes together; 1 for single patches."""
    half_resolution: bool = False
    """The teacher looks at half the resolution, for a quarter of its cost (A-CLIP-eff)."""


class AttentionMasker:
    """Keeps what the class token of a mean teacher attends to (A-CLIP)."""

    Params: ClassVar[type[MaskerParams]] = AttentionParams
    chooses_ratio: ClassVar[bool] = False

    def __init__(self, params: AttentionParams) -> None:
        self.params = params
        self._teacher: Vision | None = None

    def start(self, vision: Vision) -> None:
        self._teacher = vision.copy()

    @torch.no_grad()
    def observe(self, vision: Vision, *, progress: float) -> None:
        teacher = self._started().tower
        new = 1 - momentum(self.params.momentum, progress)
        for mean, weight in zip(teacher.parameters(), vision.tower.parameters(), strict=True):
            if mean.device != weight.device:
                teacher.to(weight.device)
            mean.lerp_(weight.to(mean.dtype), new)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._started().tower.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._started().tower.load_state_dict(state)

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        teacher, images, grid = self._started(), inputs.images, inputs.grid
        if next(teacher.tower.parameters()).device != images.device:
            teacher.tower.to(images.device)
        step = 2 if self.params.half_resolution else 1
        seen = images if step == 1 else halved(images, grid)
        pooled, attention = teacher.attend(seen.to(next(teacher.tower.parameters()).dtype))
        looked = attention.mean(dim=(1, 2)).reshape(len(images), 1, -(-grid.rows // step), -(-grid.columns // step))
        cell = max(1, self.params.cell // step)
        cells = F.avg_pool2d(looked, cell, ceil_mode=True)[:, 0]
        rows, columns = (torch.arange(size, device=images.device) // (cell * step) for size in grid[:2])
        return MaskScores(cells[:, rows][:, :, columns].flatten(1), features=pooled)

    def _started(self) -> Vision:
        if self._teacher is None:
            raise MaskerError("The masker 'attention' has no teacher yet; it is made of the image tower by `start`.")
        return self._teacher


def halved(images: Float[Tensor, "B 3 H W"], grid: Grid) -> Float[Tensor, "B 3 h w"]:
    """Half the patches down and across, rounded up, of the same size in pixels."""
    size = [-(-patches // 2) * grid.side for patches in grid[:2]]
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True)
