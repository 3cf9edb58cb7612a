"""The rows of a run in Weights & Biases: written to `wandb/` of its folder, and sent only where that is asked for."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import wandb

from pgsclip.config.params import PluginParams
from pgsclip.loggers.contract import Row, RunInfo


class WandbParams(PluginParams):
    project: str = "pgsclip"
    """Name of the project at Weights & Biases."""
    mode: Literal["offline", "online"] = "offline"
    """`offline` keeps everything in the run folder until `wandb sync`; `online` sends it at once and wants a login."""


class WandbLogger:
    """Figures over steps, with the run's whole config."""

    Params: ClassVar[type[PluginParams]] = WandbParams

    def __init__(self, params: WandbParams, run: RunInfo) -> None:
        self._run = wandb.init(
            project=params.project,
            name=run.path.name,
            group=run.path.name,
            dir=str(run.path),
            config={**run.config, "begins_at_step": run.step},
            mode=params.mode,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        # Steps of our own: wandb's may only grow, and a resumed run does some again.
        self._run.define_metric("*", step_metric="step")

    def log(self, row: Row) -> None:
        figures = {
            name if "/" in name else f"train/{name}": value
            for name, value in row.items()
            if name != "step" and isinstance(value, int | float) and math.isfinite(value)
        }
        self._run.log({"step": row["step"], **figures})

    def close(self) -> None:
        self._run.finish()
