"""Radar, bars and curves as SVG text: sharp at any size, no picture files, no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

COLOURS = ("#8a8f98", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0b3d91", "#7a1fa2", "#00695c", "#5d4037")
"""Told apart by the colour-blind too (Okabe and Ito), then darker ones for our own rows."""

WIDTH, HEIGHT = 400, 280
_FONT = 'font-family="system-ui,sans-serif" font-size="12" fill="currentColor"'


class Series(NamedTuple):
    """A line, an outline or a bar, with its colour."""

    name: str
    points: list[tuple[float, float]]
    colour: str


def curves(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Lines over a shared x axis."""
    shown = [(one, [(float(x), float(y)) for x, y in one.points if math.isfinite(x + y)]) for one in series]
    shown = [(one, points) for one, points in shown if points]
    if not shown:
        return ""
    xs = [x for _, points in shown for x, _ in points]
    ys = [y for _, points in shown for _, y in points]
    x_ticks, y_ticks = ticks(min([0.0, *xs]), max(xs)), ticks(min(ys), max(ys))
    left, right, top, bottom = 52, WIDTH - 20, 24, HEIGHT - 42

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / ((x_ticks[-1] - x_ticks[0]) or 1)
        up = (y - y_ticks[0]) / ((y_ticks[-1] - y_ticks[0]) or 1)
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = []
    for tick in y_ticks:
        _, y = place(x_ticks[0], tick)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" {_FONT}>{number(tick)}</text>')
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0])
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle" {_FONT}>{number(tick)}</text>')
    for one, points in shown:
        path = "L".join(_at(*place(x, y)) for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{one.colour}" stroke-width="2" stroke-linejoin="round"/>')
        if len(points) < 12:
            dots = (place(x, y) for x, y in points)
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{one.colour}"/>' for x, y in dots]
    parts.append(
        f'<text x="{(left + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle" {_FONT}>{escape(x_label)}</text>'
    )
    parts.append(f'<text x="4" y="14" {_FONT}>{escape(y_label)}</text>')
    return _svg(parts, f"{y_label} over {x_label}") + legend([(one.name, one.colour) for one, _ in shown])


def bars(values: Sequence[tuple[str, float, str]], label: str, unit: str = "%") -> str:
    """Horizontal bars: (name, value, colour), each with its number."""
    if not values:
        return ""
    row, left = 26, 132
    height = row * len(values) + 28
    largest = max(value for _, value, _ in values) or 1
    parts = [f'<text x="4" y="14" {_FONT}>{escape(label)}</text>']
    for index, (name, value, colour) in enumerate(values):
        y = 24 + index * row
        width = (WIDTH - left - 58) * max(value, 0) / largest
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{row - 8}" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 14}" text-anchor="end" {_FONT}>{escape(shorten(name, 19))}</text>')
        parts.append(f'<text x="{left + width + 5:.1f}" y="{y + 14}" {_FONT}>{value:.1f}{escape(unit)}</text>')
    return _svg(parts, label, height)


def radar(axes: Sequence[str], series: Sequence[tuple[str, Sequence[float | None], str]], label: str) -> str:
    """One outline per model; each axis runs from 0 to the largest value on it. Fewer than three axes draw nothing."""
    if len(axes) < 3 or not series:
        return ""
    height, middle, radius = 340, (WIDTH / 2, 180), 104
    largest = [max((values[i] or 0.0) for _, values, _ in series) or 1.0 for i in range(len(axes))]

    def place(index: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * index / len(axes) - math.pi / 2
        return middle[0] + radius * share * math.cos(angle), middle[1] + radius * share * math.sin(angle)

    parts = [f'<text x="4" y="14" {_FONT}>{escape(label)}</text>']
    for ring in (0.25, 0.5, 0.75, 1.0):
        outline = "L".join(_at(*place(i, ring)) for i in range(len(axes)))
        parts.append(f'<path d="M{outline}Z" fill="none" stroke="currentColor" stroke-opacity=".15"/>')
    for index, name in enumerate(axes):
        x, y = place(index, 1.0)
        parts.append(f'<path d="M{middle[0]} {middle[1]}L{x:.1f} {y:.1f}" stroke="currentColor" stroke-opacity=".15"/>')
        x, y = place(index, 1.12)
        anchor = "middle" if abs(x - middle[0]) < 12 else "start" if x > middle[0] else "end"
        room = WIDTH - x if anchor == "start" else x if anchor == "end" else WIDTH / 2
        down = y - 6 if math.sin(2 * math.pi * index / len(axes) - math.pi / 2) < -0.9 else y + 2
        words = [shorten(name, int(room / 6.8)), f"{largest[index]:.0f}"]
        if len(axes) > 8:  # too close for two lines each
            words = [f"{shorten(name, 13)} {largest[index]:.0f}"]
        for line, text in enumerate(words):
            at = f'x="{x:.1f}" y="{down + 13 * line:.1f}" text-anchor="{anchor}"'
            faint = ' fill-opacity=".7"' if line else ""
            parts.append(f"<text {at} {_FONT}{faint}>{escape(text)}</text>")
    for _, values, colour in series:
        shares = [(value or 0.0) / top for value, top in zip(values, largest, strict=True)]
        outline = "L".join(_at(*place(i, share)) for i, share in enumerate(shares))
        parts.append(f'<path d="M{outline}Z" fill="{colour}" fill-opacity=".08" stroke="{colour}" stroke-width="2"/>')
    return _svg(parts, label, height) + legend([(name, colour) for name, _, colour in series])


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names with their colours, as text that wraps."""
    items = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in entries)
    return f'<div class="legend">{items}</div>'


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that cover [low, high]."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        high = low + max(abs(low), 1e-3)
    rough = (high - low) / wanted
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * nice for nice in (1, 2, 2.5, 5, 10) if scale * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def number(value: float) -> str:
    """12000 → 12k, 0.25 → 0.25."""
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.3g}"


def shorten(name: str, length: int) -> str:
    """The end of a long name says more than its start, as in paths."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def _at(x: float, y: float) -> str:
    return f"{x:.1f} {y:.1f}"


def _svg(parts: Sequence[str], label: str, height: int = HEIGHT) -> str:
    start = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">'
    return f"{start}{''.join(parts)}</svg>"
