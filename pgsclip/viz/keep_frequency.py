"""How often each patch survives over many views: what a masker is sure of, and what it leaves to chance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.viz.explain import Column
from pgsclip.viz.pictures import Picture
from pgsclip.viz.sheet import Panel, heat


def survival(
    picture: Picture, column: Column, *, seed: int, seeds: int, progress: float = 0.0
) -> tuple[Float[Tensor, " L"], float]:
    """Share of views that each patch is kept in, and the mean share of a view that another view keeps too."""
    shown = torch.zeros(seeds, picture.grid.patches)
    for number in range(seeds):
        shown[number, column.kept(picture, seed=seed + number, progress=progress)] = 1
    kept, common = shown.sum(dim=1), shown @ shown.T
    share = 2 * common / (kept[:, None] + kept[None, :])
    overlap = (share.sum() - share.diagonal().sum()) / max(1, seeds * (seeds - 1))
    return shown.mean(dim=0), overlap.item()


def row_of_survival(
    picture: Picture, columns: list[Column], *, seed: int, seeds: int, progress: float = 0.0
) -> list[Panel]:
    """The original, and for each masker a heat map: yellow always survives, dark violet never does."""
    panels = [Panel("original", picture.image, picture.name)]
    for column in columns:
        often, overlap = survival(picture, column, seed=seed, seeds=seeds, progress=progress)
        note = f"{seeds} views, overlap {overlap:.0%}"
        panels.append(Panel(column.title, heat(picture.image, often.numpy(), picture.grid), note))
    return panels
