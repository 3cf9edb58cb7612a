"""Frequency with which each patch is kept over many views: what a masker is sure of, and what it leaves to chance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.viz.explain import MaskerColumn
from pgsclip.viz.pictures import Picture
from pgsclip.viz.sheet import Panel, draw_heat


def measure_keep_frequency(
    picture: Picture, column: MaskerColumn, *, seed: int, seeds: int, progress: float = 0.0
) -> tuple[Float[Tensor, " L"], float]:
    """Measure the share of views that keep each patch, and the mean share of a view that another view keeps too."""
    shown = torch.zeros(seeds, picture.grid.patches)
    for number in range(seeds):
        shown[number, column.choose_patches(picture, seed=seed + number, progress=progress)] = 1
    kept, common = shown.sum(dim=1), shown @ shown.T
    share = 2 * common / (kept[:, None] + kept[None, :])
    overlap = (share.sum() - share.diagonal().sum()) / max(1, seeds * (seeds - 1))
    return shown.mean(dim=0), overlap.item()


def draw_keep_frequency(
    picture: Picture, columns: list[MaskerColumn], *, seed: int, seeds: int, progress: float = 0.0
) -> list[Panel]:
    """Draw the original, and for each masker a heat map: yellow is always kept, dark violet never."""
    panels = [Panel("original", picture.image, picture.name)]
    for column in columns:
        often, overlap = measure_keep_frequency(picture, column, seed=seed, seeds=seeds, progress=progress)
        note = f"{seeds} views, overlap {overlap:.0%}"
        panels.append(Panel(column.title, draw_heat(picture.image, often.numpy(), picture.grid), note))
    return panels
