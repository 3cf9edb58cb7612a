"""The plugin contract of loggers: where the rows of a run go beside metrics.jsonl and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pgsclip.config.params import PluginParams

Row = Mapping[str, float | int | str | None]
"""`step` and figures: `loss`, `acc1`, … of a log step, or `eval/<set>/<metric>` of an evaluation."""


class RunInfo(NamedTuple):
    """The run whose rows come."""

    path: Path
    """Its folder; files of a logger belong into a folder of their own there."""
    config: Mapping[str, Any]
    """Every setting, as `config.yaml` has it."""
    step: int
    """Where it begins or goes on: rows of later steps that are there already come again."""


@runtime_checkable
class RunLogger(Protocol):
    """A place for rows. Built as `cls(cls.Params(**params), run)`, by the leading process only.

    It must not write to the run's own files, and what it raises ends the logger and not the run.
    """

    Params: ClassVar[type[PluginParams]]

    def log(self, row: Row) -> None:
        """One row, in the order of steps; a step's evaluation is a row of its own after its log row."""

    def close(self) -> None:
        """The run ends, for whatever reason."""
