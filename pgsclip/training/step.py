"""One step of a run: its chance, forward, backward, update. The loop makes it, and a plan measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pgsclip.data.batch import Batch
from pgsclip.seeding import make_step_generator, seed_step
from pgsclip.training.accumulation import Part, backward
from pgsclip.training.engines.base import Engine
from pgsclip.training.features import StepContext, StepReport


@dataclass(frozen=True)
class Stepper:
    """Makes steps of a run, which depend on their number alone."""

    engine: Engine
    seed: int
    rank: int
    total: int
    """Steps of the whole run."""

    def step(self, number: int, batches: Sequence[Batch], lr: float) -> tuple[Tensor, StepReport, Tensor]:
        """Update the weights once.

        Args:
            number: of the step, from 0.
            batches: this rank's share of the pairs, in the parts of an accumulated step.

        Returns:
            The loss, the figures, and () bool: whether the update was left out.
        """
        loss, report = backward(self.engine, [self._part(number, place, batch) for place, batch in enumerate(batches)])
        left_out = self.engine.step(lr)
        self.engine.observe((number + 1) / self.total)
        return loss, report, left_out

    def _part(self, number: int, place: int, batch: Batch) -> Part:
        device = self.engine.device

        def context() -> StepContext:
            seed_step(self.seed, self.rank, number, place)
            return StepContext(number / self.total, make_step_generator(self.seed, self.rank, number, device, place))

        images = batch.images.to(device, non_blocking=True)
        return Part(images, batch.texts.to(device, non_blocking=True), batch.lengths, context)
