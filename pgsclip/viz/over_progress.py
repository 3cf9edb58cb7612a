"""The masks of one seed from the start of training to its end, as a strip or as frames of an animation."""

from __future__ import annotations

from PIL import Image

from pgsclip.viz.explain import MaskerColumn, draw_row
from pgsclip.viz.pictures import Picture
from pgsclip.viz.sheet import Panel, compose, enlarge, hide_patches

STRIP = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_FRAMES = 21


def draw_strips(picture: Picture, columns: list[MaskerColumn], *, seed: int) -> list[list[Panel]]:
    """Draw a row for each masker: the picture, then its mask at six points of the run."""
    rows = []
    for column in columns:
        row = [Panel("original", picture.image, picture.name)]
        for progress in STRIP:
            kept = column.choose_patches(picture, seed=seed, progress=progress)
            shown = hide_patches(picture.image, kept.numpy(), picture.grid)
            row.append(Panel(column.title, shown, f"progress {progress:.1f}"))
        rows.append(row)
    return rows


def draw_frames(pictures: list[Picture], columns: list[MaskerColumn], *, seed: int) -> list[Image.Image]:
    """Draw whole sheets, one for each point of the run; the panels say which."""
    sheets = []
    for number in range(_FRAMES):
        progress = number / (_FRAMES - 1)
        rows = []
        for picture in pictures:
            original, *others = draw_row(picture, columns, seed=seed, explain=False, progress=progress)
            rows.append([original, *(Panel(p.title, p.image, f"progress {progress:.2f}") for p in others)])
        sheets.append(compose(enlarge(rows)))
    return sheets
