"""The plugin contract of loggers, which get the rows of a run beside metrics.jsonl and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pgsclip.config.params import PluginParams

Row = Mapping[str, float | int | str | None]
"""`step` and figures: `loss`, `acc1`, … of a log step, or `eval/<set>/<metric>` of an evaluation."""


class RunInfo(NamedTuple):
    """The run whose rows a logger gets."""

    path: Path
    """Run folder. A logger writes into a folder of its own inside it."""
    config: Mapping[str, Any]
    """Settings, all of them, as `config.yaml` has them."""
    step: int
    """Step at which the run begins or continues. Rows of later steps that were logged before come again."""


@runtime_checkable
class RunLogger(Protocol):
    """A place for rows. Built as `cls(cls.Params(**params), run)`, by the leading process only.

    It must not write to the run's own files. An exception ends the logger, not the run.
    """

    Params: ClassVar[type[PluginParams]]

    def log(self, row: Row) -> None:
        """Take one row. Rows come in the order of steps, the evaluation of a step after its log row."""

    def close(self) -> None:
        """Finish, because the run ended for whatever reason."""
