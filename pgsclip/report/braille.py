"""Curves in a terminal: eight dots to a character, as Unicode's Braille patterns have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_BLANK = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a character, by row and column (Unicode standard, chapter 21.1)."""

Point = tuple[float, float]
Dot = tuple[int, int]
"""Column and row, from the upper left."""


def draw_braille(points: Sequence[Point], width: int, height: int) -> list[str]:
    """Draw a line through the points, in `height` lines of `width` characters, over the whole range of both axes.

    Points that are not finite are left out; without any, the lines are blank.
    """
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    cells = [[_BLANK] * width for _ in range(height)]
    for column, row in _connect(_place(finite, width * 2 - 1, height * 4 - 1)):
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(map(chr, line)) for line in cells]


def _place(points: Sequence[Point], across: int, down: int) -> list[Dot]:
    """The dot of each point; a flat line lies in the middle."""
    if not points:
        return []
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    return [
        (
            round(across * (x - low_x) / (high_x - low_x or 1.0)),
            round(down * (1 - (y - low_y) / (high_y - low_y)) if high_y > low_y else down / 2),
        )
        for x, y in points
    ]


def _connect(dots: Sequence[Dot]) -> Iterator[Dot]:
    """Every dot of the straight lines from dot to dot."""
    for (x0, y0), (x1, y1) in zip(dots, [*dots[1:], *dots[-1:]], strict=True):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
