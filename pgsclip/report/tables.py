"""The paper's five tables with our rows beneath, and one for all other sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from pgsclip.report.paper import Paper
from pgsclip.results.result import Result, unpack_outcomes
from pgsclip.results.suites import AVERAGES, FAMILIES, MAIN_METRIC, PAPER
from pgsclip.statistics import Interval, bootstrap_mean_of_shares, bootstrap_share

TITLES = {
    "zeroshot": "Zero-shot classification, top-1 accuracy",
    "retrieval": "Zero-shot retrieval, recall at 1, 5 and 10",
    "linear-probe": "Linear probe, top-1 accuracy",
    "robustness": "Robustness, top-1 accuracy",
    "compositionality": "Compositionality (SugarCrepe), text accuracy",
}
_OF_OTHERS = {**TITLES, "compositionality": "Compositionality, text accuracy"}
"""Sets that the paper has not are no SugarCrepe either."""
_RECALLS = [f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in (1, 5, 10)]


class Column(NamedTuple):
    """One number per row: a set's metric, or an average."""

    dataset: str
    metric: str
    label: str
    average: bool = False


class Cell(NamedTuple):
    """A number in percent with what is known about it; all None is a dash."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def text(self) -> str:
        """`31.2`, `31.2 (29.8 to 32.6)` or a dash."""
        if self.value is None:
            return "–"
        spread = "" if self.low is None else f" ({self.low:.1f} to {self.high:.1f})"
        return f"{self.value:.1f}{spread}"


class Row(NamedTuple):
    """`kind`: paper, ours, difference or chance."""

    name: str
    kind: str
    cells: list[Cell]


class Table(NamedTuple):
    """One table of the report."""

    title: str
    family: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str]


class Model(NamedTuple):
    """One evaluated model, and the row of the paper that it is measured against."""

    name: str
    results: list[Result]
    reference: str = "CLIP"


def build_tables(models: Sequence[Model], paper: Paper) -> list[Table]:
    """All tables that have something to show."""
    tables = [_paper_table(family, models, paper) for family in FAMILIES]
    tables += [table for family in FAMILIES if (table := _other_table(family, models)) is not None]
    return tables


def columns_of(family: str) -> list[Column]:
    """The columns of one of the paper's tables; averages stand at the end."""
    if family == "retrieval":
        return [Column(name, metric, f"{name} {short(metric)}") for name in PAPER[family] for metric in _RECALLS]
    metric = MAIN_METRIC[family]
    columns = [Column(name, metric, name.removeprefix("sugar_crepe/")) for name in PAPER[family]]
    return columns + [Column(a.name, metric, a.name, True) for a in AVERAGES if a.family == family]


def short(metric: str) -> str:
    """`TR@1`: image to text; `IR@1`: text to image, as the paper's tables have it."""
    name, _, k = metric.partition("_retrieval_recall@")
    return f"{'TR' if name == 'text' else 'IR'}@{k}" if k else metric


def _paper_table(family: str, models: Sequence[Model], paper: Paper) -> Table:
    columns = columns_of(family)
    notes: list[str] = []
    rows = []
    for method in paper.methods:
        cells = []
        for column in columns:
            cell, note = _printed(paper, family, column, method)
            cells.append(cell)
            notes += [note] if note else []
        rows.append(Row(method, "paper", cells))
    by_name = {row.name: row for row in rows}
    for model in models:
        ours = [_own(model, family, column) for column in columns]
        if all(cell.value is None for cell in ours):
            continue
        rows.append(Row(model.name, "ours", ours))
        reference = by_name[model.reference].cells
        differences = [_difference(own, printed) for own, printed in zip(ours, reference, strict=True)]
        if any(cell.value is not None for cell in differences):
            rows.append(Row(f"difference to {model.reference}", "difference", differences))
    return _without_unknown(Table(TITLES[family], family, columns, rows, notes))


def _without_unknown(table: Table) -> Table:
    """A column of which no row knows anything is a line in the notes."""
    known = [any(row.cells[i].value is not None for row in table.rows) for i in range(len(table.columns))]
    unknown = [column.label for column, shown in zip(table.columns, known, strict=True) if not shown]
    notes = [*table.notes, f"Not known for any row: {', '.join(unknown)}."] if unknown else table.notes
    columns = [column for column, shown in zip(table.columns, known, strict=True) if shown]
    rows = [
        row._replace(cells=[cell for cell, shown in zip(row.cells, known, strict=True) if shown]) for row in table.rows
    ]
    return table._replace(columns=columns, rows=rows, notes=notes)


def _printed(paper: Paper, family: str, column: Column, method: str) -> tuple[Cell, str]:
    """The paper's number; where a printed average is not the mean of its cells, the recomputed one and a note."""
    value = paper.value(family, column.dataset, column.metric, method)
    if column.average:
        average = next(a for a in AVERAGES if a.family == family and a.name == column.dataset)
        again = paper.recomputed(average, column.metric, method)
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


def _own(model: Model, family: str, column: Column) -> Cell:
    found = {result.dataset: result for result in model.results if result.family == family}
    if not column.average:
        result = found.get(column.dataset)
        return Cell() if result is None else _measured(result, column.metric)
    members = next(a.members for a in AVERAGES if a.family == family and a.name == column.dataset)
    parts = [found[name] for name in members if name in found]
    if len(parts) < len(members):
        return Cell()
    answers = [_answers(part, column.metric) for part in parts if column.metric in part.outcomes]
    if len(answers) == len(parts):
        return _percent(bootstrap_mean_of_shares(answers))
    values = [_measured(part, column.metric).value or 0.0 for part in parts]
    return Cell(sum(values) / len(values))


def _measured(result: Result, metric: str) -> Cell:
    if metric not in result.metrics:
        metric = "mean_average_precision"
    if metric not in result.metrics:
        return Cell()
    if metric not in result.outcomes:
        return Cell(100 * result.metrics[metric])
    return _percent(bootstrap_share(_answers(result, metric)))


def _answers(result: Result, metric: str) -> Bool[np.ndarray, " Q"]:
    return np.array(unpack_outcomes(result.outcomes[metric], result.questions[metric]))


def _difference(own: Cell, printed: Cell) -> Cell:
    if own.value is None or printed.value is None:
        return Cell()
    low = None if own.low is None else own.low - printed.value
    high = None if own.high is None else own.high - printed.value
    return Cell(own.value - printed.value, low, high)


def _percent(found: Interval) -> Cell:
    return Cell(100 * found.value, 100 * found.low, 100 * found.high)


def _other_table(family: str, models: Sequence[Model]) -> Table | None:
    """Sets that the paper has not, with what guessing reaches."""
    others: dict[str, Result] = {}
    for model in models:
        for result in model.results:
            if result.family == family and result.dataset not in PAPER[family]:
                others.setdefault(result.dataset, result)
    if not others:
        return None
    if family == "retrieval":
        columns = [Column(n, m, f"{n} {short(m)}") for n, one in others.items() for m in _RECALLS if m in one.metrics]
    else:
        columns = [Column(name, MAIN_METRIC[family], name) for name in others]
    chance = [Cell(_percent_of(others[c.dataset].chance.get(c.metric))) for c in columns]
    rows = [Row("chance", "chance", chance)]
    for model in models:
        cells = [_own(model, family, column) for column in columns]
        if any(cell.value is not None for cell in cells):
            rows.append(Row(model.name, "ours", cells))
    return Table(f"{_OF_OTHERS[family]}: other sets", family, columns, rows, [])


def _percent_of(share: float | None) -> float | None:
    return None if share is None else 100 * share
