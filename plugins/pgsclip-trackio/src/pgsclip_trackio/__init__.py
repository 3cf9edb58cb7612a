"""The rows of a run in trackio, on this machine: nothing is sent anywhere."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stdout
from typing import ClassVar

import trackio

from pgsclip.config.params import PluginParams
from pgsclip.loggers.contract import Row, RunInfo


class TrackioParams(PluginParams):
    project: str = "pgsclip"
    """Name of trackio's project, for `trackio show --project`."""


class TrackioLogger:
    """Figures over steps, with the run's whole config, for `trackio show`."""

    Params: ClassVar[type[PluginParams]] = TrackioParams

    def __init__(self, params: TrackioParams, run: RunInfo) -> None:
        with redirect_stdout(io.StringIO()):  # advice that would stand amid the run's own lines
            self._run = trackio.init(
                project=params.project,
                name=f"{run.path.name} from step {run.step}" if run.step else run.path.name,
                group=run.path.name,
                config={**run.config, "begins_at_step": run.step},
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, row: Row) -> None:
        figures = {
            name if "/" in name else f"train/{name}": value
            for name, value in row.items()
            if name != "step" and isinstance(value, int | float) and math.isfinite(value)
        }
        self._run.log(figures, step=int(row["step"] or 0))

    def close(self) -> None:
        with redirect_stdout(io.StringIO()):
            trackio.finish()  # not the run's own: trackio would finish it once more at exit, and say so
