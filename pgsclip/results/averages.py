"""The paper's averages of the results of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgsclip.results.result import Result
from pgsclip.results.suites import AVERAGES, MAIN_METRIC


def compute_averages(results: Iterable[Result]) -> dict[str, float]:
    """Compute `family average` → value, for each average whose sets are all there."""
    return average_values({(result.family, result.dataset): pick_main_value(result) for result in results})


def average_values(values: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Compute the same averages of plain numbers by (family, dataset)."""
    formed = {}
    for average in AVERAGES:
        keys = [(average.family, member) for member in average.members]
        if all(key in values for key in keys):
            formed[f"{average.family} {average.name}"] = sum(values[key] for key in keys) / len(keys)
    return formed


def pick_main_value(result: Result) -> float:
    """Pick the one number of a result that a table shows."""
    name = MAIN_METRIC[result.family]
    return result.metrics.get(name, result.metrics.get("mean_average_precision", float("nan")))
