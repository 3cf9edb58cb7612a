"""The tables as charts: a bar for each model on the sets that matter most, and a radar for each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgsclip.charts import COLOURS, draw_bars, draw_radar
from pgsclip.report.cells import TableColumn
from pgsclip.report.curves import choose_colour
from pgsclip.report.html import wrap_cards
from pgsclip.report.paper import Paper
from pgsclip.report.tables import Table, TableRow

_FEWEST_AXES = 3


def draw_tables(tables: Sequence[Table], names: Sequence[str], paper: Paper) -> str:
    """Draw the paper's figures 1-b and 1-c of what is known, and its training times, as cards.

    Args:
        names: our models, in the order of their colours.
    """
    colours = {method: COLOURS[index] for index, method in enumerate(paper.methods)}
    colours |= {name: choose_colour(index) for index, name in enumerate(names)}
    charts = []
    for table in tables:
        if table.is_of_paper:
            rows = [row for row in table.rows if row.kind in ("paper", "ours")]
            charts += _draw_bars(table, rows, colours)
            charts.append(_draw_radar(table, rows, colours))
    times = [(name, value, colours[name]) for name, value in paper.relative_training_time.values.items()]
    return wrap_cards([*charts, draw_bars(times, "training time, relative to CLIP (paper)", "×")], "Figures")


def _draw_bars(table: Table, rows: Sequence[TableRow], colours: Mapping[str, str]) -> list[str]:
    charts = []
    for index, column in enumerate(table.columns):
        values = [(row.name, row.cells[index].value, colours[row.name]) for row in rows]
        known = [(name, value, colour) for name, value, colour in values if value is not None]
        if _is_worth_bars(column) and len(known) > 1:
            charts.append(draw_bars(known, f"{table.family}: {column.label}"))
    return charts


def _is_worth_bars(column: TableColumn) -> bool:
    return column.average or column.dataset == "imagenet1k" or column.metric.endswith("recall@1")


def _draw_radar(table: Table, rows: Sequence[TableRow], colours: Mapping[str, str]) -> str:
    """An outline for each row that has three numbers; averages are no axes, nor is recall beyond the first answer."""
    plain = [i for i, column in enumerate(table.columns) if not column.average]
    if table.family == "retrieval":
        plain = [i for i in plain if table.columns[i].metric.endswith("@1")]
    full = [row for row in rows if sum(row.cells[i].value is not None for i in plain) >= _FEWEST_AXES]
    seen = [i for i in plain if any(row.cells[i].value is not None for row in full)]
    labels = [table.columns[i].label.replace("mscoco_captions", "coco") for i in seen]
    outlines = [(row.name, [row.cells[i].value for i in seen], colours[row.name]) for row in full]
    return draw_radar(labels, outlines, table.title)
