"""Several runs side by side: at equal samples, equal arithmetic and equal time, and their last numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from pgsclip.charts import Series, draw_lines
from pgsclip.report.page import colour_of, document, evaluation_keys, evaluation_points
from pgsclip.report.runs import ReportEntry, Row
from pgsclip.results.result import Result, unpack_outcomes
from pgsclip.results.suites import MAIN_METRIC
from pgsclip.statistics import bootstrap_difference

Cost = Callable[[float], float]
"""Share of patches kept → FLOPs of one training sample, forward and backward."""


class Line(NamedTuple):
    """One set: each run's number in percent, and its difference to the first run with a 95 % interval."""

    family: str
    dataset: str
    metric: str
    values: list[float | None]
    differences: list[tuple[float, float, float] | None]


def final_lines(subjects: Sequence[ReportEntry]) -> list[Line]:
    """The table of final metrics: those of `pgsclip eval`, and beneath them the last evaluation of the run itself."""
    by_run = [{(result.family, result.dataset): result for result in one.results} for one in subjects]
    lines = []
    for family, dataset in dict.fromkeys(key for results in by_run for key in results):
        own = [results.get((family, dataset)) for results in by_run]
        first = next(result for result in own if result is not None)
        for metric in _metrics(first):
            values = [None if result is None else 100 * result.metrics.get(metric, float("nan")) for result in own]
            lines.append(Line(family, dataset, metric, values, [_paired(own[0], other, metric) for other in own]))
    last = [{key: value for row in one.evaluations for key, value in row.items() if key != "step"} for one in subjects]
    for key in dict.fromkeys(key for row in last for key in row if key.startswith("eval/")):
        values = [100 * row[key] if key in row else None for row in last]
        head, _, metric = key.removeprefix("eval/").rpartition("/")
        lines.append(Line("training", head, metric, values, [None] * len(values)))
    return lines


def with_cost(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Each row with the FLOPs of training up to it."""
    spent, before = 0.0, 0
    found = []
    for row in rows:
        spent += (row["samples"] - before) * cost(row["kept"])
        before = row["samples"]
        found.append({**row, "flops": spent})
    return found


def compare_page(subjects: Sequence[ReportEntry], costs: Sequence[Cost], lines: Sequence[Line]) -> str:
    """Curves and table as one page."""
    title = f"pgsclip compare: {', '.join(one.name for one in subjects)}"
    cards = curve_cards(subjects, costs)
    return document(title, f"<h1>{escape(title)}</h1>{cards}<h2>Final metrics</h2>{_table(subjects, lines)}")


def curve_cards(subjects: Sequence[ReportEntry], costs: Sequence[Cost]) -> str:
    """Loss and evaluations over samples, FLOPs and time."""
    training = [with_cost(one.training, cost) for one, cost in zip(subjects, costs, strict=True)]
    axes = [("samples", "samples"), ("flops", "FLOPs"), ("seconds", "seconds of training")]
    parts = []
    for x, label in axes:
        series = [
            Series(one.name, [(float(row[x]), row["loss"]) for row in rows], colour_of(i))
            for i, (one, rows) in enumerate(zip(subjects, training, strict=True))
        ]
        parts.append(draw_lines(series, label, "loss"))
    for key in evaluation_keys(subjects):
        for x, label in axes:
            series = [
                Series(one.name, evaluation_points(_placed(one, rows, x), key, x), colour_of(i))
                for i, (one, rows) in enumerate(zip(subjects, training, strict=True))
            ]
            parts.append(draw_lines(series, label, f"{key}, %"))
    cards = "".join(f'<div class="card">{part}</div>' for part in parts if part)
    return f'<div class="grid">{cards}</div>'


def _placed(subject: ReportEntry, rows: Sequence[Row], x: str) -> list[Row]:
    """The evaluations with the samples, FLOPs and seconds of the log row at or before their step."""
    found = []
    for evaluation in subject.evaluations:
        before = [row for row in rows if row["step"] <= evaluation["step"]]
        if before:
            found.append({**evaluation, x: before[-1][x]})
    return found


def _metrics(result: Result) -> list[str]:
    if result.family == "retrieval":
        return [name for name in result.metrics if "recall@" in name]
    name = MAIN_METRIC[result.family]
    return [name if name in result.metrics else "mean_average_precision"]


def _paired(first: Result | None, other: Result | None, metric: str) -> tuple[float, float, float] | None:
    """None for the first run itself, and where the questions were not the same."""
    if first is None or other is None or first is other or first.settings.get("data") != other.settings.get("data"):
        return None
    if metric not in first.outcomes or first.questions.get(metric) != other.questions.get(metric):
        return None
    count = first.questions[metric]
    ours, theirs = (np.array(unpack_outcomes(one.outcomes[metric], count)) for one in (other, first))
    found = bootstrap_difference(ours, theirs)
    return 100 * found.value, 100 * found.low, 100 * found.high


def _table(subjects: Sequence[ReportEntry], lines: Sequence[Line]) -> str:
    head = "".join(f"<th>{escape(one.name)}</th>" for one in subjects)
    rows = []
    for line in lines:
        cells = []
        for one, value, difference in zip(subjects, line.values, line.differences, strict=True):
            label = f' data-label="{escape(one.name, quote=True)}"'
            spread = f"<small>{describe(difference)}</small>" if difference else ""
            cells.append(f"<td{label}>{'–' if value is None else f'{value:.1f}'}{spread}</td>")
        rows.append(f"<tr><th>{escape(f'{line.family} {line.dataset} {line.metric}')}</th>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table class="final"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div><p class='small'>Percent. Beneath a number: its paired difference to the first run, on the same "
        "questions, with a 95 % bootstrap interval.</p>"
    )


def describe(difference: tuple[float, float, float]) -> str:
    """`+1.2 (0.3 to 2.1)`."""
    return f"{difference[0]:+.1f} ({difference[1]:.1f} to {difference[2]:.1f})"
