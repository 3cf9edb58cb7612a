"""Everything that watches the numbers of the steps: figures, findings, and the end of a run that has diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from pgsclip.data.batch import Batch
from pgsclip.training.diagnosis import Diagnosis
from pgsclip.training.features import StepReport
from pgsclip.training.meter import Meter
from pgsclip.training.mfu import Arithmetic
from pgsclip.training.nonfinite import NonFiniteGuard


@dataclass
class Monitor:
    """Watches the steps of one phase on this rank."""

    meter: Meter
    arithmetic: Arithmetic
    diagnosis: Diagnosis
    guard: NonFiniteGuard
    pairs_per_step: int
    """Pairs of a step on all ranks."""

    def add(
        self, step: int, made: tuple[Tensor, StepReport, Tensor], batches: Sequence[Batch], waited_seconds: float
    ) -> None:
        """Take note of one step; nothing waits for the device.

        Args:
            step: its number, from 1.
            made: its loss, its report, and () bool whether its update was left out.
            batches: what it was made with.
            waited_seconds: how long these were waited for.
        """
        loss, report, left_out = made
        self.meter.add(
            step,
            loss,
            report,
            left_out=left_out,
            keys=[key for batch in batches for key in batch.keys],
            samples=self.pairs_per_step,
            flops=self.arithmetic.step(report.patches_kept, [batch.lengths for batch in batches]),
            waited=waited_seconds,
        )

    def check(self, step: int) -> None:
        """Look whether the steps since the last look were finite, on all ranks alike; waits for the device.

        Raises:
            TrainingError: one was not, and the run is to end.
        """
        self.guard.check(*self.meter.take_nonfinite(), step)

    def figures(self) -> dict[str, float]:
        """The figures of a log row of this rank; waits for the device."""
        return self.meter.row()

    def inspect(self, row: Mapping[str, float | int]) -> list[str]:
        """Sentences about the health of the run that a log row gives reason for."""
        return self.diagnosis.inspect(row)

    def paused(self) -> AbstractContextManager[None]:
        """Within it, time is not counted as that of the steps."""
        return self.meter.paused()
