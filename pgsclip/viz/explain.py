"""One image through the maskers: the panels of a row of the sheet."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgsclip.config.ratio import Ratio
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.maskers.pgs import PgsMasker
from pgsclip.masking.maskers.salient import SalientMasker
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

    def kept(self, picture: Picture, *, seed: int, progress: float) -> Tensor:
        """Patches (K,) that this masker shows of this picture."""
        found: Tensor = self.masker.keep(
            picture.pixels,
            picture.grid.side,
            (self.ratio.low, self.ratio.high),
            seed,
            embeddings=picture.embeddings,
            progress=progress,
        )[0]
        return found


def row_of_panels(
    picture: Picture, columns: list[Column], *, seed: int, explain: bool, progress: float = 0.0
) -> list[Panel]:
    """The original and what each masker keeps; with `explain` also what led pgs and salient there."""
    panels = [Panel("original", picture.image, picture.name)]
    for column in columns:
        kept = column.kept(picture, seed=seed, progress=progress)
        share = len(kept) / picture.grid.patches
        panels.append(Panel(column.title, masked(picture.image, kept.numpy(), picture.grid), f"kept {share:.0%}"))
    if explain:
        for handle in {column.masker.name: column.masker for column in columns}.values():
            panels += explanation(picture, handle, seed, progress)
    return panels


@torch.no_grad()
def explanation(picture: Picture, handle: MaskerHandle, seed: int, progress: float = 0.0) -> list[Panel]:
    """What a masker saw, drawn with the generator that `keep` uses; no panels for maskers that see nothing."""
    patches = patchify(picture.pixels, picture.grid) if picture.embeddings is None else picture.embeddings
    generator = torch.Generator().manual_seed(seed)
    inputs = MaskInputs(picture.pixels, patches, picture.grid, progress, generator)
    if isinstance(handle.masker, PgsMasker):
        found = handle.masker.explain(inputs)
        transport = handle.masker.params.transport
        return [
            _heat(picture, f"{handle.name}: edges", found.edges[0], "bright holds back"),
            _framed(picture, f"{handle.name}: candidates", found.candidates[0]),
            _heat(picture, f"{handle.name}: similarity", found.plain[0], "bright is like the candidates"),
            *([_heat(picture, f"{handle.name}: transport", found.similarity[0], "balanced")] if transport else []),
            _heat(picture, f"{handle.name}: score", _unit(found.scores.keep[0]), "bright stays"),
        ]
    if isinstance(handle.masker, SalientMasker):
        seen = handle.masker.explain(inputs)
        return [
            _framed(picture, f"{handle.name}: rim", seen.rim[0]),
            _heat(picture, f"{handle.name}: strange", _unit(seen.strange[0]), "bright is unlike the rim"),
            _heat(picture, f"{handle.name}: score", _unit(seen.scores.keep[0]), "bright stays"),
        ]
    return []


def _heat(picture: Picture, title: str, values: Tensor, note: str) -> Panel:
    return Panel(title, heat(picture.image, values.numpy(), picture.grid), note)


def _framed(picture: Picture, title: str, places: Tensor) -> Panel:
    drawn = outlined(picture.image, places.numpy(), picture.grid)
    return Panel(title, drawn, f"{len(places)} of {picture.grid.patches}")


def _unit(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp(min=1e-9)
