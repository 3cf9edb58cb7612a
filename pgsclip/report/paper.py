"""The paper's tables as data: "Seeing What Matters", arXiv 2503.17080, sections 4.2 to 4.4, in `paper.json`.

Every figure has its source. Cells that could not be had are not in the file; nothing is filled in.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from pgsclip.results.suites import AVERAGES, Average

_ROUNDED = 0.05 + 0.05 + 1e-9
"""Largest difference that rounding explains: members and mean are both printed with one decimal."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Figure(_Frozen):
    """One printed number."""

    table: int
    family: str
    dataset: str
    """A set, or the name of an average."""
    metric: str
    method: str
    value: float
    """Percent, as printed."""
    source: str


class OddAverage(_Frozen):
    """A printed average that is not the mean of the printed cells."""

    family: str
    average: str
    method: str


class TrainingTime(_Frozen):
    """Training time relative to CLIP's."""

    source: str
    values: dict[str, float]


class Paper(_Frozen):
    """Everything that the file holds."""

    title: str
    arxiv: str
    sources: dict[str, str]
    incomplete: str
    """Note about what is not here, and why; empty when all five tables are whole."""
    methods: tuple[str, ...]
    relative_training_time: TrainingTime
    do_not_recompute: tuple[OddAverage, ...]
    figures: tuple[Figure, ...]

    def find_value(self, family: str, dataset: str, metric: str, method: str) -> float | None:
        """Find a printed number in percent; None when it is not here."""
        for one in self.figures:
            if (one.family, one.dataset, one.metric, one.method) == (family, dataset, metric, method):
                return one.value
        return None

    def recompute(self, average: Average, metric: str, method: str) -> float | None:
        """Compute the mean of an average's cells; None when one of them is not here."""
        cells = [self.find_value(average.family, member, metric, method) for member in average.members]
        known = [cell for cell in cells if cell is not None]
        return sum(known) / len(cells) if len(known) == len(cells) else None

    def list_disagreements(self) -> list[tuple[str, str, str, float, float]]:
        """List (family, average, method, printed, recomputed) where both are known and differ by more than rounding."""
        found = []
        for average in AVERAGES:
            for one in self.figures:
                if (one.family, one.dataset) != (average.family, average.name):
                    continue
                again = self.recompute(average, one.metric, one.method)
                if again is not None and abs(again - one.value) > _ROUNDED:
                    found.append((average.family, average.name, one.method, one.value, again))
        return found


@cache
def load_paper() -> Paper:
    """Load the tables that ship with the package."""
    return Paper.model_validate_json(files("pgsclip").joinpath("report", "paper.json").read_bytes())
