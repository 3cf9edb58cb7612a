"""One number of a table: printed by the paper, measured by us, or the difference of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from pgsclip.results.result import Result, unpack_outcomes
from pgsclip.results.suites import AVERAGES
from pgsclip.statistics import Interval, bootstrap_mean_of_shares, bootstrap_share


class TableColumn(NamedTuple):
    """One number per row: a set's metric, or an average over sets."""

    dataset: str
    """A set, or the name of an average."""
    metric: str
    label: str
    average: bool = False


class Cell(NamedTuple):
    """A number in percent with its interval; a dash when nothing is known."""

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


def fill_cell(results: Sequence[Result], family: str, column: TableColumn) -> Cell:
    """Fill a cell from the results of one model; an average only where all its sets are there."""
    by_set = {result.dataset: result for result in results if result.family == family}
    if column.average:
        members = next(a.members for a in AVERAGES if a.family == family and a.name == column.dataset)
        parts = [by_set[name] for name in members if name in by_set]
        return _average(parts, column.metric) if len(parts) == len(members) else Cell()
    result = by_set.get(column.dataset)
    return Cell() if result is None else _measure(result, column.metric)


def subtract(own: Cell, printed: Cell) -> Cell:
    """Subtract a printed number, which has no interval of its own."""
    if own.value is None or printed.value is None:
        return Cell()
    low = None if own.low is None else own.low - printed.value
    high = None if own.high is None else own.high - printed.value
    return Cell(own.value - printed.value, low, high)


def _average(parts: Sequence[Result], metric: str) -> Cell:
    answers = [_read_answers(part, metric) for part in parts if metric in part.outcomes]
    if len(answers) == len(parts):
        return _to_percent(bootstrap_mean_of_shares(answers))
    values = [_measure(part, metric).value or 0.0 for part in parts]
    return Cell(sum(values) / len(values))


def _measure(result: Result, metric: str) -> Cell:
    if metric not in result.metrics:
        metric = "mean_average_precision"  # of sets whose images have several labels
    if metric not in result.metrics:
        return Cell()
    if metric not in result.outcomes:
        return Cell(100 * result.metrics[metric])
    return _to_percent(bootstrap_share(_read_answers(result, metric)))


def _read_answers(result: Result, metric: str) -> Bool[np.ndarray, " Q"]:
    return np.array(unpack_outcomes(result.outcomes[metric], result.questions[metric]))


def _to_percent(share: Interval) -> Cell:
    return Cell(100 * share.value, 100 * share.low, 100 * share.high)
