"""All charts, in one palette: lines, bars and radar as SVG text, intervals as a picture.

SVG is sharp at any size and needs no file and no script, so a page holds it; a picture is what `--plot FILE` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from pgsclip.statistics import Interval

COLOURS = ("#8a8f98", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0b3d91", "#7a1fa2", "#00695c", "#5d4037")
"""Told apart by the colour-blind too: those of Okabe and Ito (2008) after a grey, then four darker ones."""

_WIDTH, _HEIGHT = 400, 280
_FONT = 'font-family="system-ui,sans-serif" font-size="12" fill="currentColor"'
_FAINT = 'stroke="currentColor" stroke-opacity=".15"'
_INK, _LINE, _PAPER = "#1e1e1e", "#dcdcdc", "#ffffff"

Place = Callable[[float, float], tuple[float, float]]


class Series(NamedTuple):
    """A line with its colour."""

    name: str
    points: list[tuple[float, float]]
    colour: str


class Measured(NamedTuple):
    """A share with its interval, of one series in one column."""

    series: str
    column: str
    share: Interval


def draw_lines(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Draw lines over a shared x axis, as SVG; nothing when no point is finite."""
    finite = [[(float(x), float(y)) for x, y in one.points if math.isfinite(x + y)] for one in series]
    shown = [one._replace(points=points) for one, points in zip(series, finite, strict=True) if points]
    if not shown:
        return ""
    xs, ys = zip(*(point for one in shown for point in one.points), strict=True)
    x_ticks, y_ticks = _ticks(min(0.0, *xs), max(xs)), _ticks(min(ys), max(ys))
    left, right, top, bottom = 52, _WIDTH - 20, 24, _HEIGHT - 42

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / ((x_ticks[-1] - x_ticks[0]) or 1)
        up = (y - y_ticks[0]) / ((y_ticks[-1] - y_ticks[0]) or 1)
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = []
    for tick in y_ticks:
        _, y = place(x_ticks[0], tick)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" {_FAINT}/>')
        parts.append(_text(left - 6, y + 4, _number(tick), "end"))
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0])
        parts.append(_text(x, bottom + 17, _number(tick), "middle"))
    parts += [_line(one, place) for one in shown]
    parts.append(_text((left + right) / 2, _HEIGHT - 6, x_label, "middle"))
    parts.append(_text(4, 14, y_label))
    return _svg(parts, f"{y_label} over {x_label}") + _legend([(one.name, one.colour) for one in shown])


def draw_bars(values: Sequence[tuple[str, float, str]], label: str, unit: str = "%") -> str:
    """Draw horizontal bars (name, value, colour), each with its number, as SVG."""
    if not values:
        return ""
    row, left = 26, 132
    largest = max(value for _, value, _ in values) or 1
    parts = [_text(4, 14, label)]
    for index, (name, value, colour) in enumerate(values):
        y = 24 + index * row
        width = (_WIDTH - left - 58) * max(value, 0) / largest
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{row - 8}" rx="2" fill="{colour}"/>')
        parts.append(_text(left - 6, y + 14, _cut(name, 19), "end"))
        parts.append(_text(left + width + 5, y + 14, f"{value:.1f}{unit}"))
    return _svg(parts, label, row * len(values) + 28)


def draw_radar(axes: Sequence[str], series: Sequence[tuple[str, Sequence[float | None], str]], label: str) -> str:
    """Draw one outline (name, values, colour) per model, as SVG; nothing for fewer than three axes.

    Each axis runs from 0 to the largest value on it.
    """
    if len(axes) < 3 or not series:
        return ""
    middle, radius = (_WIDTH / 2, 180.0), 104.0
    largest = [max((values[i] or 0.0) for _, values, _ in series) or 1.0 for i in range(len(axes))]

    def place(index: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * index / len(axes) - math.pi / 2
        return middle[0] + radius * share * math.cos(angle), middle[1] + radius * share * math.sin(angle)

    def outline(shares: Sequence[float]) -> str:
        return f"M{'L'.join(_at(*place(i, share)) for i, share in enumerate(shares))}Z"

    parts = [_text(4, 14, label)]
    parts += [f'<path d="{outline([ring] * len(axes))}" fill="none" {_FAINT}/>' for ring in (0.25, 0.5, 0.75, 1.0)]
    for index, name in enumerate(axes):
        parts.append(f'<path d="M{_at(*middle)}L{_at(*place(index, 1.0))}" {_FAINT}/>')
        parts += _axis_name(*place(index, 1.12), name, f"{largest[index]:.0f}", crowded=len(axes) > 8)
    for _, values, colour in series:
        shares = [(value or 0.0) / top for value, top in zip(values, largest, strict=True)]
        fill = f'fill="{colour}" fill-opacity=".08" stroke="{colour}" stroke-width="2"'
        parts.append(f'<path d="{outline(shares)}" {fill}/>')
    return _svg(parts, label, 340) + _legend([(name, colour) for name, _, colour in series])


def draw_intervals(points: Sequence[Measured], title: str) -> Image.Image:
    """Draw a dot for each share, beside each other in its column, with a whisker over its 95 % interval."""
    left, top, right, bottom = 70, 50, 660, 450
    picture = Image.new("RGB", (900, 520), _PAPER)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)

    def height(share: float) -> float:
        return bottom - share * (bottom - top)

    pen.text((left, 16), title, _INK, ImageFont.load_default(18))
    for tick in range(0, 11, 2):
        y = height(tick / 10)
        pen.line((left, y, right, y), _LINE)
        pen.text((left - 10, y), f"{tick / 10:.1f}", _INK, font, anchor="rm")
    columns = list(dict.fromkeys(point.column for point in points))
    names = list(dict.fromkeys(point.series for point in points))
    width = (right - left) / len(columns)
    for number, column in enumerate(columns):
        pen.text((left + (number + 0.5) * width, bottom + 14), column, _INK, font, anchor="ma")
    for point in points:
        number = names.index(point.series)
        x = left + width * (columns.index(point.column) + (number + 1) / (len(names) + 1))
        colour = COLOURS[number % len(COLOURS)]
        low, high, value = height(point.share.low), height(point.share.high), height(point.share.value)
        pen.line((x, low, x, high), colour, 2)
        for end in (low, high):
            pen.line((x - 5, end, x + 5, end), colour, 2)
        pen.ellipse((x - 5, value - 5, x + 5, value + 5), colour)
    for number, name in enumerate(names):
        y = top + 20 + 26 * number
        pen.ellipse((right + 24, y - 5, right + 34, y + 5), COLOURS[number % len(COLOURS)])
        pen.text((right + 44, y), name, _INK, font, anchor="lm")
    return picture


def _line(series: Series, place: Place) -> str:
    """A line through the points, and a dot on each where they are few."""
    spots = [place(x, y) for x, y in series.points]
    path = "L".join(_at(x, y) for x, y in spots)
    line = f'<path d="M{path}" fill="none" stroke="{series.colour}" stroke-width="2" stroke-linejoin="round"/>'
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{series.colour}"/>' for x, y in spots]
    return line + "".join(dots if len(dots) < 12 else [])


def _axis_name(x: float, y: float, name: str, most: str, *, crowded: bool) -> list[str]:
    """Name and largest value of a radar's axis, away from its end; in one line where they stand close."""
    middle = abs(x - _WIDTH / 2) < 12
    anchor = "middle" if middle else "start" if x > _WIDTH / 2 else "end"
    room = {"start": _WIDTH - x, "end": x, "middle": _WIDTH / 2}[anchor]
    down = y - 6 if middle and y < 100 else y + 2  # above the topmost axis there is nothing to run into
    if crowded:
        return [_text(x, down, f"{_cut(name, 13)} {most}", anchor)]
    return [_text(x, down, _cut(name, int(room / 6.8)), anchor), _text(x, down + 13, most, anchor, faint=True)]


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names with their colours, as text that wraps."""
    items = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in entries)
    return f'<div class="legend">{items}</div>'


def _ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that cover [low, high]."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        high = low + max(abs(low), 1e-3)
    rough = (high - low) / wanted
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * nice for nice in (1, 2, 2.5, 5, 10) if scale * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _number(value: float) -> str:
    """12000 → 12k, 0.25 → 0.25."""
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.3g}"


def _cut(name: str, length: int) -> str:
    """The end of a long name, which says more than its start, as in paths."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def _at(x: float, y: float) -> str:
    return f"{x:.1f} {y:.1f}"


def _text(x: float | int, y: float | int, text: str, anchor: str = "start", *, faint: bool = False) -> str:
    opacity = ' fill-opacity=".7"' if faint else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {_FONT}{opacity}>{escape(text)}</text>'


def _svg(parts: Sequence[str], label: str, height: int = _HEIGHT) -> str:
    start = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">'
    return f"{start}{''.join(parts)}</svg>"
