"""One image through one masker: the panels of a row of the sheet."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pgsclip.config.ratio import Ratio
from pgsclip.masking.handle import MaskerHandle
from pgsclip.masking.maskers.pgs import PgsMasker
from pgsclip.masking.pixels import patchify
from pgsclip.viz.pictures import Picture
from pgsclip.viz.sheet import Panel, heat, masked, outlined


class Column(NamedTuple):
    """A masker with the ratio that it is shown at."""

    masker: MaskerHandle
    ratio: Ratio

    @property
    def title(self) -> str:
        return f"{self.masker.name} {self.ratio}"


def row_of_panels(picture: Picture, columns: list[Column], *, seed: int, explain: bool) -> list[Panel]:
    """The original and what each masker keeps; with `explain` also what led PGS there."""
    panels = [Panel("original", picture.image, picture.name)]
    for column in columns:
        kept = column.masker.keep(picture.pixels, picture.grid.side, (column.ratio.low, column.ratio.high), seed)[0]
        share = len(kept) / picture.grid.patches
        panels.append(Panel(column.title, masked(picture.image, kept.numpy(), picture.grid), f"kept {share:.0%}"))
    if explain:
        for masker in {c.masker.name: c.masker for c in columns if isinstance(c.masker.masker, PgsMasker)}.values():
            panels += _explanation(picture, masker, seed)
    return panels


@torch.no_grad()
def _explanation(picture: Picture, handle: MaskerHandle, seed: int) -> list[Panel]:
    """Edges, candidates and similarity, drawn with the generator that `keep` uses."""
    assert isinstance(handle.masker, PgsMasker)
    grid = picture.grid
    generator = torch.Generator().manual_seed(seed)
    patches = patchify(picture.pixels, grid)
    found = handle.masker.explain(picture.pixels, patches, progress=0.0, generator=generator)
    return [
        Panel(f"{handle.name}: edges", heat(picture.image, found.edges[0].numpy(), grid), "bright holds back"),
        Panel(
            f"{handle.name}: candidates",
            outlined(picture.image, found.candidates[0].numpy(), grid),
            f"{found.candidates.shape[1]} of {grid.patches}",
        ),
        Panel(
            f"{handle.name}: similarity", heat(picture.image, found.similarity[0].numpy(), grid), "bright goes first"
        ),
    ]
