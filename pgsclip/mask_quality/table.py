"""The comparison as text: one line per masker and ratio, and recall by kind of picture."""

from __future__ import annotations

import math

from pgsclip.mask_quality.comparison import MaskerRow
from pgsclip.statistics import Interval

_HEAD = ("masker", "ratio", "object recall", "background removed", "edge energy kept", "seed overlap", "kept", "ms")


def write_lines(rows: list[MaskerRow]) -> list[str]:
    """Write means with half the width of their 95 % interval, and the share kept with its deviation over images."""
    table = [list(_HEAD)]
    for row in rows:
        means = [_show(found) for found in (row.recall, row.removed, row.edges, row.overlap)]
        kept = f"{row.kept.value:.3f} sd {row.kept_spread:.3f}"
        table.append([row.masker, row.ratio, *means, kept, f"{row.milliseconds:.1f}"])
    return _align(table)


def write_lines_by_group(rows: list[MaskerRow]) -> list[str]:
    """Write object recall for each kind of picture; no lines where there is but one kind."""
    groups = list(rows[0].recall_by_group)
    if len(groups) < 2:
        return []
    table = [["object recall of", "ratio", *groups]]
    table += [[row.masker, row.ratio, *(_show(row.recall_by_group[group]) for group in groups)] for row in rows]
    return _align(table)


def _show(found: Interval) -> str:
    return "-" if math.isnan(found.value) else f"{found.value:.3f} ± {found.half_width:.3f}"


def _align(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
