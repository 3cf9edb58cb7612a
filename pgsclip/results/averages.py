"""The paper's averages of the results of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgsclip.results.result import Result
from pgsclip.results.suites import AVERAGES, MAIN_METRIC


def averages(results: Iterable[Result]) -> dict[str, float]:
    """`family average` → value, for each average whose sets are all there."""
    return averages_of({(result.family, result.dataset): main_value(result) for result in results})


def averages_of(found: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """The same of plain numbers by (family, dataset)."""
    formed = {}
    for average in AVERAGES:
        keys = [(average.family, member) for member in average.members]
        if all(key in found for key in keys):
            formed[f"{average.family} {average.name}"] = sum(found[key] for key in keys) / len(keys)
    return formed


def main_value(result: Result) -> float:
    """The one number that a table shows."""
    name = MAIN_METRIC[result.family]
    return result.metrics.get(name, result.metrics.get("mean_average_precision", float("nan")))
