"""Tables as Markdown, CSV and LaTeX rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pgsclip.report.cells import Cell
from pgsclip.report.tables import Table

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": "\\textasciitilde{}", "–": "--"})


def to_markdown(tables: Sequence[Table]) -> str:
    """Write each table under its title, a set to a line so that it stays readable in a terminal."""
    parts = []
    for table in tables:
        lines = [f"## {table.title}"]
        if table.columns:
            lines += ["", f"| | {' | '.join(row.name for row in table.rows)} |", f"|---{'|---:' * len(table.rows)}|"]
        for index, column in enumerate(table.columns):
            cells = " | ".join(row.cells[index].text() for row in table.rows)
            label = f"**{column.label}**" if column.average else column.label
            lines.append(f"| {label} | {cells} |")
        lines += [f"\n{note}" for note in dict.fromkeys(table.notes)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def to_csv(tables: Sequence[Table]) -> str:
    """Write one number a line: family, row, kind, set, metric, percent, low, high, note."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(["family", "row", "kind", "set", "metric", "percent", "low", "high", "note"])
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if cell.value is not None:
                    numbers = [_plain(cell.value), _plain(cell.low), _plain(cell.high)]
                    writer.writerow(
                        [table.family, row.name, row.kind, column.dataset, column.metric, *numbers, cell.note]
                    )
    return content.getvalue()


def to_latex(tables: Sequence[Table]) -> str:
    """Write rows to paste into a tabular, the column names in a comment above."""
    parts = []
    for table in (one for one in tables if one.columns):
        lines = [f"% {table.title}", f"% {' & '.join(column.label for column in table.columns)}"]
        for row in table.rows:
            cells = " & ".join(_latex_cell(cell) for cell in row.cells)
            lines.append(f"{row.name.translate(_SPECIAL)} & {cells} \\\\")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _latex_cell(cell: Cell) -> str:
    return "--" if cell.value is None else f"{cell.value:.1f}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
