"""The paper's five tables with our rows beneath, and one for all other sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pgsclip.report.cells import Cell, TableColumn, fill_cell, subtract
from pgsclip.report.paper import Paper
from pgsclip.results.result import Result
from pgsclip.results.suites import AVERAGES, FAMILIES, MAIN_METRIC, PAPER

TITLES = {
    "zeroshot": "Zero-shot classification, top-1 accuracy",
    "retrieval": "Zero-shot retrieval, recall at 1, 5 and 10",
    "linear-probe": "Linear probe, top-1 accuracy",
    "robustness": "Robustness, top-1 accuracy",
    "compositionality": "Compositionality (SugarCrepe), text accuracy",
}
_TITLES_OF_OTHERS = {**TITLES, "compositionality": "Compositionality, text accuracy"}
"""Titles for sets outside the paper, which are no SugarCrepe either."""
_RECALLS = [f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in (1, 5, 10)]


class TableRow(NamedTuple):
    """One model, or the difference of two."""

    name: str
    kind: str
    """paper, ours, difference or chance."""
    cells: list[Cell]


class Table(NamedTuple):
    """One table of the report."""

    title: str
    family: str
    columns: list[TableColumn]
    rows: list[TableRow]
    notes: list[str]

    @property
    def is_of_paper(self) -> bool:
        """True when the paper has a row in it."""
        return any(row.kind == "paper" for row in self.rows)


class Model(NamedTuple):
    """One evaluated model."""

    name: str
    results: list[Result]
    reference: str = "CLIP"
    """Row of the paper that it is measured against."""


def build_tables(models: Sequence[Model], paper: Paper) -> list[Table]:
    """Build the paper's five tables, and one for the other sets of each family that has any."""
    tables = [_build_paper_table(family, models, paper) for family in FAMILIES]
    tables += [table for family in FAMILIES if (table := _build_other_table(family, models)) is not None]
    return tables


def list_columns(family: str) -> list[TableColumn]:
    """List the columns of one of the paper's tables; averages stand at the end."""
    if family == "retrieval":
        return _list_recalls(dict.fromkeys(PAPER[family], _RECALLS))
    metric = MAIN_METRIC[family]
    columns = [TableColumn(name, metric, name.removeprefix("sugar_crepe/")) for name in PAPER[family]]
    return columns + [TableColumn(a.name, metric, a.name, True) for a in AVERAGES if a.family == family]


def abbreviate(metric: str) -> str:
    """Name a recall as the paper's tables do: `TR@1` is image to text, `IR@1` text to image."""
    name, _, k = metric.partition("_retrieval_recall@")
    return f"{'TR' if name == 'text' else 'IR'}@{k}" if k else metric


def _list_recalls(metrics: dict[str, list[str]]) -> list[TableColumn]:
    return [TableColumn(name, m, f"{name} {abbreviate(m)}") for name, known in metrics.items() for m in known]


def _build_paper_table(family: str, models: Sequence[Model], paper: Paper) -> Table:
    columns = list_columns(family)
    notes: list[str] = []
    rows = []
    for method in paper.methods:
        cells, said = zip(*(_print_cell(paper, family, column, method) for column in columns), strict=True)
        notes += [note for note in said if note]
        rows.append(TableRow(method, "paper", list(cells)))
    by_name = {row.name: row for row in rows}
    for model in models:
        ours = _fill_row(model, family, columns)
        if ours is None:
            continue
        rows.append(ours)
        reference = by_name[model.reference].cells
        differences = [subtract(own, printed) for own, printed in zip(ours.cells, reference, strict=True)]
        if any(cell.value is not None for cell in differences):
            rows.append(TableRow(f"difference to {model.reference}", "difference", differences))
    return _drop_unknown_columns(Table(TITLES[family], family, columns, rows, notes))


def _fill_row(model: Model, family: str, columns: Sequence[TableColumn]) -> TableRow | None:
    """The row of a model; None when it was evaluated on none of these sets."""
    cells = [fill_cell(model.results, family, column) for column in columns]
    return TableRow(model.name, "ours", cells) if any(cell.value is not None for cell in cells) else None


def _drop_unknown_columns(table: Table) -> Table:
    """Drop the columns in which no row has a value, and list them in the notes."""
    known = [any(row.cells[i].value is not None for row in table.rows) for i in range(len(table.columns))]
    unknown = [column.label for column, shown in zip(table.columns, known, strict=True) if not shown]
    notes = [*table.notes, f"Not known for any row: {', '.join(unknown)}."] if unknown else table.notes
    columns = [column for column, shown in zip(table.columns, known, strict=True) if shown]
    rows = [
        row._replace(cells=[cell for cell, shown in zip(row.cells, known, strict=True) if shown]) for row in table.rows
    ]
    return table._replace(columns=columns, rows=rows, notes=notes)


def _print_cell(paper: Paper, family: str, column: TableColumn, method: str) -> tuple[Cell, str]:
    """The paper's number; where a printed average is not the mean of its cells, the recomputed one and a note."""
    value = paper.find_value(family, column.dataset, column.metric, method)
    if column.average:
        average = next(a for a in AVERAGES if a.family == family and a.name == column.dataset)
        again = paper.recompute(average, column.metric, method)
        odd = any((o.family, o.average, o.method) == (family, column.dataset, method) for o in paper.do_not_recompute)
        if odd and again is None:
            return Cell(value, note="not the mean of its cells"), (
                f"The paper's {column.dataset} average of {method} is not the mean of its cells. It would be shown "
                f"recomputed, but its cells are not here."
            )
        if again is not None and (odd or value is None):
            printed = f" (printed: {value:.1f})" if value is not None else ""
            return Cell(again, note="recomputed"), (
                f"The {column.dataset} average of {method} is recomputed from its cells{printed}."
            )
    return Cell(value), ""


def _build_other_table(family: str, models: Sequence[Model]) -> Table | None:
    """The sets that are not in the paper, with what guessing reaches; None when there are none."""
    others: dict[str, Result] = {}
    for result in (result for model in models for result in model.results if result.family == family):
        if result.dataset not in PAPER[family]:
            others.setdefault(result.dataset, result)
    if not others:
        return None
    if family == "retrieval":
        columns = _list_recalls({name: [m for m in _RECALLS if m in one.metrics] for name, one in others.items()})
    else:
        columns = [TableColumn(name, MAIN_METRIC[family], name) for name in others]
    chance = [_chance_cell(others[column.dataset], column.metric) for column in columns]
    ours = [row for model in models if (row := _fill_row(model, family, columns)) is not None]
    rows = [TableRow("chance", "chance", chance), *ours]
    return Table(f"{_TITLES_OF_OTHERS[family]}: other sets", family, columns, rows, [])


def _chance_cell(result: Result, metric: str) -> Cell:
    share = result.chance.get(metric)
    return Cell(None if share is None else 100 * share)
