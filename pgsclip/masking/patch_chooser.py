"""From a batch to the patches that are shown: a masker's scores, the ratio of the run, and the passes they run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pgsclip.bucketing import Visible
from pgsclip.config.ratio import Ratio
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs, MaskScores
from pgsclip.masking.selection import choose


@dataclass(frozen=True)
class PatchChooser:
    """Chooses the patches of a batch that an image tower is shown."""

    score: Callable[[MaskInputs], MaskScores]
    ratio: Ratio
    max_passes: int
    """With a range: buckets that a batch is cut into at most."""
    exactly: bool
    """Always that many, for ranks that must run equally many passes."""

    @torch.no_grad()
    def __call__(self, inputs: MaskInputs) -> Visible:
        """Score the batch and choose.

        Raises:
            MaskerError: the masker breaks its contract.
        """
        scores = self.score(inputs)
        buckets = choose(scores, self.ratio, inputs.generator, self.max_passes, exactly=self.exactly)
        return Visible(buckets, scores.features)

    def at(self, progress: float, generator: torch.Generator) -> Callable[[Tensor, Tensor, Grid], Visible]:
        """Return the choice of one step, as an image tower asks for it: of images, patches and their grid."""
        return lambda images, patches, grid: self(MaskInputs(images, patches, grid, progress, generator))
