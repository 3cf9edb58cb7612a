"""Groups of runs as one HTML page and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from pgsclip.report.compare import Cost, curve_cards
from pgsclip.report.page import document
from pgsclip.report.runs import Subject
from pgsclip.report.seeds import NOTE, Grid, Group


def seeds_page(subjects: Sequence[Subject], groups: Sequence[Group], costs: Sequence[Cost], tables: list[Grid]) -> str:
    """The tables, and the curves of the first run of each group."""
    title = f"pgsclip compare: {', '.join(group.name for group in groups)}"
    first = [next(iter(group.runs.values())) for group in groups]
    shown = [replace(subjects[index], name=group.name) for index, group in zip(first, groups, strict=True)]
    body = [f"<h1>{escape(title)}</h1>", *(_table(grid) for grid in tables), f'<p class="small">{escape(NOTE)}</p>']
    body += ["<h2>One seed of each</h2>", curve_cards(shown, [costs[index] for index in first])]
    return document(title, "".join(body))


def seeds_markdown(tables: Sequence[Grid]) -> str:
    """The tables, each under its title."""
    parts = []
    for grid in tables:
        lines = [f"**{grid.title}**", "", f"| {' | '.join(grid.head)} |", f"|---{'|---:' * (len(grid.head) - 1)}|"]
        parts.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in grid.rows)]))
    return "\n\n".join([*parts, NOTE]) + "\n"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = []
    for name, *cells in grid.rows:
        labelled = zip(grid.head[1:], cells, strict=True)
        data = "".join(f'<td data-label="{escape(label, quote=True)}">{escape(cell)}</td>' for label, cell in labelled)
        rows.append(f"<tr><th>{escape(name)}</th>{data}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{escape(grid.title)}</h2><div class="wide">{table}</div>'
