"""The rows of a run as TensorBoard's scalars, in `tensorboard/` of its folder."""

from __future__ import annotations

import math
from typing import ClassVar

from torch.utils.tensorboard import SummaryWriter

from pgsclip.config.params import PluginParams
from pgsclip.loggers.contract import Row, RunInfo


class TensorboardParams(PluginParams):
    seconds: int = 10
    """Longest time that a row stays in memory."""


class TensorboardLogger:
    """Figures over steps, for `tensorboard --logdir runs`."""

    Params: ClassVar[type[PluginParams]] = TensorboardParams

    def __init__(self, params: TensorboardParams, run: RunInfo) -> None:
        # What is there of later steps is hidden: a resumed run does them again.
        again = run.step + 1 if run.step else None
        self._writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=again, flush_secs=params.seconds)

    def log(self, row: Row) -> None:
        step = int(row["step"] or 0)
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and not math.isnan(value):
                self._writer.add_scalar(name if "/" in name else f"train/{name}", value, step)

    def close(self) -> None:
        self._writer.close()
