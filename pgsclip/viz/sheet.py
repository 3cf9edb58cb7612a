"""The mask sheet: images down, maskers across, hidden patches grey, a thin white grid, the kept share below."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pgsclip import opencv as cv2
from pgsclip.grid import Grid

HIDDEN = (128, 128, 128)
GRID = (255, 255, 255)
_GRID_FROM = 4
"""Smallest patch side in pixels with a grid around it; smaller patches would drown in lines."""
_PAPER = (255, 255, 255)
_INK = (30, 30, 30)
_GAP = 12
_TITLE = 15
_NOTE = 13


@dataclass(frozen=True)
class Panel:
    """One cell of the sheet."""

    title: str
    image: Image.Image
    note: str = ""


def hide_patches(image: Image.Image, keep: Int[np.ndarray, " K"], grid: Grid) -> Image.Image:
    """Paint every patch but `keep` grey, and lines one pixel wide between patches."""
    pixels = np.array(image)
    shown = np.zeros(grid.patches, bool)
    shown[keep] = True
    hidden = ~shown.reshape(grid.rows, grid.columns).repeat(grid.side, axis=0).repeat(grid.side, axis=1)
    pixels[hidden] = HIDDEN
    if grid.side >= _GRID_FROM:
        pixels[:: grid.side] = GRID
        pixels[:, :: grid.side] = GRID
    return Image.fromarray(pixels)


def draw_heat(image: Image.Image, values: Float[np.ndarray, " L"], grid: Grid) -> Image.Image:
    """Draw a value in [0, 1] per patch as colour over the grey image: dark violet is 0, yellow is 1."""
    cells = (values.reshape(grid.rows, grid.columns) * 255).clip(0, 255).round().astype(np.uint8)
    large = cells.repeat(grid.side, axis=0).repeat(grid.side, axis=1)
    colours: NDArray[np.uint8] = cv2.applyColorMap(large, cv2.COLORMAP_INFERNO)[:, :, ::-1]
    return Image.blend(image.convert("L").convert("RGB"), Image.fromarray(np.ascontiguousarray(colours)), 0.7)


def outline_patches(image: Image.Image, patches: Int[np.ndarray, " N"], grid: Grid) -> Image.Image:
    """Draw a red frame around each of `patches`."""
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    for patch in patches.tolist():
        top, left = patch // grid.columns * grid.side, patch % grid.columns * grid.side
        pen.rectangle(
            (left, top, left + grid.side - 1, top + grid.side - 1),
            outline=(230, 30, 30),
            width=max(1, min(3, grid.side // 5)),
        )
    return drawn


def enlarge(rows: list[list[Panel]], side: int = 160) -> list[list[Panel]]:
    """Enlarge small panels until the shorter side is near `side` pixels, all by one whole factor; large ones stay."""
    factor = max(1, round(side / min(min(panel.image.size) for row in rows for panel in row)))
    return [
        [
            replace(
                panel,
                image=panel.image.resize([length * factor for length in panel.image.size], Image.Resampling.NEAREST),
            )
            for panel in row
        ]
        for row in rows
    ]


def compose(rows: list[list[Panel]]) -> Image.Image:
    """Place all panels on white paper; a column is as wide as its widest panel, a row as high as its highest."""
    columns = max(len(row) for row in rows)
    title_font, note_font = ImageFont.load_default(_TITLE), ImageFont.load_default(_NOTE)
    widths = [
        max(
            max(
                row[i].image.width,
                round(title_font.getlength(row[i].title)),
                round(note_font.getlength(row[i].note)),
            )
            for row in rows
            if i < len(row)
        )
        for i in range(columns)
    ]
    heights = [max(panel.image.height for panel in row) for row in rows]
    line = _TITLE + _NOTE + 3 * 6
    size = (sum(widths) + _GAP * (columns + 1), sum(heights) + line * len(rows) + _GAP * (len(rows) + 1))
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        left = _GAP
        for panel, width in zip(row, widths, strict=False):
            middle = left + width / 2
            pen.text((middle, top), panel.title, _INK, title_font, anchor="ma")
            sheet.paste(panel.image, (round(middle - panel.image.width / 2), top + _TITLE + 8))
            pen.text((middle, top + _TITLE + 14 + panel.image.height), panel.note, _INK, note_font, anchor="ma")
            left += width + _GAP
        top += height + line + _GAP
    return sheet
