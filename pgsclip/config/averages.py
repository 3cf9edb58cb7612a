"""The paper's averages of the results of one model."""

from __future__ import annotations

from collections.abc import Iterable

from pgsclip.config.result import Result
from pgsclip.config.suites import AVERAGES, MAIN_METRIC


def averages(results: Iterable[Result]) -> dict[str, float]:
    """`family average` → value, for each average whose sets are all there."""
    found = {(result.family, result.dataset): main_value(result) for result in results}
    formed = {}
    for average in AVERAGES:
        values = [found.get((average.family, member)) for member in average.members]
        if all(value is not None for value in values):
            formed[f"{average.family} {average.name}"] = sum(value for value in values if value) / len(values)
    return formed


def main_value(result: Result) -> float:
    """The one number that a table shows."""
    name = MAIN_METRIC[result.family]
    return result.metrics.get(name, result.metrics.get("mean_average_precision", float("nan")))
