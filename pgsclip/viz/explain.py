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
from pgsclip.viz.sheet import Panel, draw_heat, hide_patches, outline_patches


class MaskerColumn(NamedTuple):
    """A masker with the ratio that it is shown at."""

    masker: MaskerHandle
    ratio: Ratio

    @property
    def title(self) -> str:
        return f"{self.masker.name} {self.ratio}"

    def choose_patches(self, picture: Picture, *, seed: int, progress: float) -> Tensor:
        """Return the numbers (K,) of the patches that this masker keeps of a picture."""
        found: Tensor = self.masker.keep(
            picture.pixels,
            picture.grid.side,
            (self.ratio.low, self.ratio.high),
            seed,
            embeddings=picture.embeddings,
            progress=progress,
        )[0]
        return found


def draw_row(
    picture: Picture, columns: list[MaskerColumn], *, seed: int, explain: bool, progress: float = 0.0
) -> list[Panel]:
    """Draw the original and what each masker keeps; with `explain` also what led pgs and salient there."""
    panels = [Panel("original", picture.image, picture.name)]
    for column in columns:
        kept = column.choose_patches(picture, seed=seed, progress=progress)
        share = len(kept) / picture.grid.patches
        panels.append(Panel(column.title, hide_patches(picture.image, kept.numpy(), picture.grid), f"kept {share:.0%}"))
    if explain:
        for handle in {column.masker.name: column.masker for column in columns}.values():
            panels += draw_explanation(picture, handle, seed, progress)
    return panels


@torch.no_grad()
def draw_explanation(picture: Picture, handle: MaskerHandle, seed: int, progress: float = 0.0) -> list[Panel]:
    """Draw what a masker saw, with the chance that `keep` has; no panels for maskers that cannot explain themselves."""
    patches = patchify(picture.pixels, picture.grid) if picture.embeddings is None else picture.embeddings
    generator = torch.Generator().manual_seed(seed)
    inputs = MaskInputs(picture.pixels, patches, picture.grid, progress, generator)
    if isinstance(handle.masker, PgsMasker):
        found = handle.masker.explain(inputs)
        transport = handle.masker.params.transport
        return [
            _show_heat(picture, f"{handle.name}: edges", found.edges[0], "bright holds back"),
            _show_framed(picture, f"{handle.name}: candidates", found.candidates[0]),
            _show_heat(picture, f"{handle.name}: similarity", found.plain[0], "bright is like the candidates"),
            *([_show_heat(picture, f"{handle.name}: transport", found.similarity[0], "balanced")] if transport else []),
            _show_heat(picture, f"{handle.name}: score", _to_unit_range(found.scores.keep[0]), "bright stays"),
        ]
    if isinstance(handle.masker, SalientMasker):
        shown = handle.masker.explain(inputs)
        novelty = _to_unit_range(shown.novelty[0])
        return [
            _show_framed(picture, f"{handle.name}: border", shown.border[0]),
            _show_heat(picture, f"{handle.name}: novelty", novelty, "bright is unlike the border"),
            _show_heat(picture, f"{handle.name}: score", _to_unit_range(shown.scores.keep[0]), "bright stays"),
        ]
    return []


def _show_heat(picture: Picture, title: str, values: Tensor, note: str) -> Panel:
    return Panel(title, draw_heat(picture.image, values.numpy(), picture.grid), note)


def _show_framed(picture: Picture, title: str, places: Tensor) -> Panel:
    drawn = outline_patches(picture.image, places.numpy(), picture.grid)
    return Panel(title, drawn, f"{len(places)} of {picture.grid.patches}")


def _to_unit_range(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp(min=1e-9)
