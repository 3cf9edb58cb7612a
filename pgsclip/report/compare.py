"""Several runs side by side: at equal samples, equal arithmetic and equal time, and their last numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from pgsclip.report.curves import Cost, draw_over_cost
from pgsclip.report.html import wrap_page
from pgsclip.report.runs import ReportEntry, Row
from pgsclip.results.result import Result, unpack_outcomes
from pgsclip.results.suites import MAIN_METRIC
from pgsclip.statistics import Interval, bootstrap_difference


class FinalLine(NamedTuple):
    """One metric of one set: each run's number in percent, and its paired difference to the first run."""

    family: str
    dataset: str
    metric: str
    values: list[float | None]
    differences: list[Interval | None]
    """In percent; None for the first run itself, and where the questions were not the same."""


def collect_final_lines(entries: Sequence[ReportEntry]) -> list[FinalLine]:
    """Collect the results of `pgsclip eval`, and beneath them the last evaluation of the runs themselves."""
    return [*_collect_results(entries), *_collect_last_evaluations(entries)]


def build_compare_page(entries: Sequence[ReportEntry], costs: Sequence[Cost], lines: Sequence[FinalLine]) -> str:
    """Build curves and table as one page."""
    title = f"pgsclip compare: {', '.join(one.name for one in entries)}"
    curves, table = draw_over_cost(entries, costs), _show_table(entries, lines)
    return wrap_page(title, f"<h1>{escape(title)}</h1>{curves}<h2>Final metrics</h2>{table}")


def describe_difference(difference: Interval) -> str:
    """`+1.2 (0.3 to 2.1)`."""
    return f"{difference.value:+.1f} ({difference.low:.1f} to {difference.high:.1f})"


def _collect_results(entries: Sequence[ReportEntry]) -> Iterator[FinalLine]:
    by_run = [{(result.family, result.dataset): result for result in one.results} for one in entries]
    for family, dataset in dict.fromkeys(key for results in by_run for key in results):
        own = [results.get((family, dataset)) for results in by_run]
        first = next(result for result in own if result is not None)
        for metric in _list_metrics(first):
            values = [None if result is None else 100 * result.metrics.get(metric, float("nan")) for result in own]
            differences = [_compare_answers(own[0], other, metric) for other in own]
            yield FinalLine(family, dataset, metric, values, differences)


def _collect_last_evaluations(entries: Sequence[ReportEntry]) -> Iterator[FinalLine]:
    last: list[Row] = [{key: value for row in one.evaluations for key, value in row.items()} for one in entries]
    for key in dict.fromkeys(key for row in last for key in row if key.startswith("eval/")):
        values = [100 * row[key] if key in row else None for row in last]
        dataset, _, metric = key.removeprefix("eval/").rpartition("/")
        yield FinalLine("training", dataset, metric, values, [None] * len(values))


def _list_metrics(result: Result) -> list[str]:
    if result.family == "retrieval":
        return [name for name in result.metrics if "recall@" in name]
    name = MAIN_METRIC[result.family]
    return [name if name in result.metrics else "mean_average_precision"]


def _compare_answers(first: Result | None, other: Result | None, metric: str) -> Interval | None:
    if first is None or other is None or first is other or first.settings.get("data") != other.settings.get("data"):
        return None
    if metric not in first.outcomes or first.questions.get(metric) != other.questions.get(metric):
        return None
    count = first.questions[metric]
    ours, theirs = (np.array(unpack_outcomes(one.outcomes[metric], count)) for one in (other, first))
    return Interval(*(100 * end for end in bootstrap_difference(ours, theirs)))


def _show_table(entries: Sequence[ReportEntry], lines: Sequence[FinalLine]) -> str:
    head = "".join(f"<th>{escape(one.name)}</th>" for one in entries)
    rows = []
    for line in lines:
        cells = []
        for one, value, difference in zip(entries, line.values, line.differences, strict=True):
            label = f' data-label="{escape(one.name, quote=True)}"'
            spread = f"<small>{describe_difference(difference)}</small>" if difference else ""
            cells.append(f"<td{label}>{'–' if value is None else f'{value:.1f}'}{spread}</td>")
        rows.append(f"<tr><th>{escape(f'{line.family} {line.dataset} {line.metric}')}</th>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table class="final"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div><p class='small'>Percent. Beneath a number: its paired difference to the first run, on the same "
        "questions, with a 95 % bootstrap interval.</p>"
    )
