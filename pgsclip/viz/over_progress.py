"""The masks of one seed from the start of training to its end, as a strip or as frames of an animation."""

from __future__ import annotations

from PIL import Image

from pgsclip.viz.explain import Column, row_of_panels
from pgsclip.viz.pictures import Picture
from pgsclip.viz.sheet import Panel, compose, enlarged, masked

STRIP = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_FRAMES = 21


def strips(picture: Picture, columns: list[Column], *, seed: int) -> list[list[Panel]]:
    """A row for each masker: the picture, then its mask at each of the points of progress."""
    rows = []
    for column in columns:
        row = [Panel("original", picture.image, picture.name)]
        for progress in STRIP:
            kept = column.kept(picture, seed=seed, progress=progress)
            shown = masked(picture.image, kept.numpy(), picture.grid)
            row.append(Panel(column.title, shown, f"progress {progress:.1f}"))
        rows.append(row)
    return rows


def frames(pictures: list[Picture], columns: list[Column], *, seed: int) -> list[Image.Image]:
    """Whole sheets, one for each point of progress; the panels say which."""
    sheets = []
    for number in range(_FRAMES):
        progress = number / (_FRAMES - 1)
        rows = []
        for picture in pictures:
            original, *others = row_of_panels(picture, columns, seed=seed, explain=False, progress=progress)
            rows.append([original, *(Panel(p.title, p.image, f"progress {progress:.2f}") for p in others)])
        sheets.append(compose(enlarged(rows)))
    return sheets
