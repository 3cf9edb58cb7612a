"""The training loop: fetch, forward, backward, step; log, evaluate and save when it is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch, Position
from pgsclip.data.faults import FaultLedger
from pgsclip.errors import TrainingError
from pgsclip.training.checkpoint import CheckpointFolder, Progress
from pgsclip.training.display import Display
from pgsclip.training.distributed import World, agree
from pgsclip.training.engines.base import Engine
from pgsclip.training.meter import Meter
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.run_folder import RunFolder
from pgsclip.training.seeding import seed_step, step_generator
from pgsclip.training.task import StepReport, View


@dataclass
class Loop:
    """Everything that a run has in its hands while it trains."""

    config: RunConfig
    engine: Engine
    batches: Iterator[Batch]
    total: int
    epoch_size: int
    world: World
    folder: RunFolder
    checkpoints: CheckpointFolder
    display: Display
    ledger: FaultLedger
    evaluate: Callable[[], dict[str, float]]
    done: Progress
    _positions: dict[int, Position] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)

    def run(self) -> Progress:
        """Train from where the run stands to its last step; the last step is always logged, evaluated and saved.

        Raises:
            TrainingError: the loss is not finite. The last checkpoint was written before that step.
            DataError: too many samples cannot be used.
        """
        self._positions.update({position.worker: position for position in self.done.positions})
        meter = Meter(self.engine.device)
        if self.done.step >= self.total:  # a finished run that goes on: there is only its result to tell
            self._evaluate()
        for step in range(self.done.step, self.total):
            batch, waited = self._fetch()
            lr = learning_rate(step, self.total, self.config.optim)
            loss, report = self._step(step, batch, lr)
            self._advance(step, batch)
            meter.add(step + 1, loss, report, self.config.data.batch_size, waited)
            if self.engine.device.type == "cpu" and self.world.size == 1:
                self._stop_if_not_finite(meter)
            if self._is_due(self.config.log.every_steps):
                self._stop_if_not_finite(meter)
                self._log(meter, lr)
            if self._is_due(self.config.checkpoint.every_steps) or self._is_time_to_save():
                self._stop_if_not_finite(meter)
                self._save()  # before evaluation, so that whatever goes wrong there costs no training
            if self._is_due(self.config.evaluate.every_steps):
                self._evaluate()
        return self.done

    def _fetch(self) -> tuple[Batch, float]:
        began = time.perf_counter()
        batch = next(self.batches)
        waited = time.perf_counter() - began
        self.ledger.add(batch)
        return batch, waited

    def _step(self, step: int, batch: Batch, lr: float) -> tuple[torch.Tensor, StepReport]:
        device = self.engine.device
        seed_step(self.config.seed, self.world.rank, step)
        view = View(step / self.total, step_generator(self.config.seed, self.world.rank, step, device))
        images = batch.images.to(device, non_blocking=True)
        texts = batch.texts.to(device, non_blocking=True)
        loss, report = self.engine.forward(images, texts, batch.lengths, view)
        self.engine.backward(loss)
        self.engine.step(lr)
        return loss, report

    def _advance(self, step: int, batch: Batch) -> None:
        self._positions[batch.position.worker] = batch.position
        samples = (step + 1) * self.config.data.batch_size
        self.done = Progress(step + 1, samples, samples / self.epoch_size, tuple(self._positions.values()))

    def _is_due(self, every: int | None) -> bool:
        """At every multiple and at the last step."""
        return self.done.step == self.total or (every is not None and self.done.step % every == 0)

    def _is_time_to_save(self) -> bool:
        """All ranks ask at log steps only and decide together, as their clocks differ."""
        minutes = self.config.checkpoint.every_minutes
        if minutes is None or not self._is_due(self.config.log.every_steps):
            return False
        return agree(time.monotonic() - self._saved_at >= 60 * minutes)

    def _log(self, meter: Meter, lr: float) -> None:
        figures = meter.row()
        row = {"step": self.done.step, "samples": self.done.samples, "epoch": round(self.done.epoch, 6), **figures}
        row["lr"] = lr
        seconds = (self.total - self.done.step) * self.config.data.batch_size / max(figures["samples_per_s"], 1e-9)
        self.display.show(row, seconds)
        if self.world.leads:
            self.folder.add_row(row)
            self.ledger.write(self.folder.faults)

    def _evaluate(self) -> None:
        results = self.evaluate()
        if self.world.leads and results:
            self.folder.add_row({"step": self.done.step, **{f"eval/{name}": value for name, value in results.items()}})
        if results:
            figures = "  ".join(f"{name} {value:.4f}" for name, value in results.items())
            self.display.say(f"step {self.done.step}  {figures}")

    def _save(self) -> None:
        self.checkpoints.save(self.engine, self.done)
        self._saved_at = time.monotonic()

    def _stop_if_not_finite(self, meter: Meter) -> None:
        bad = meter.first_bad_step()
        if not agree(bad is not None):
            return
        last = self.checkpoints.last()
        kept = f"The last good checkpoint is {last}" if last else "There is no checkpoint yet"
        raise TrainingError(
            f"The loss is not a finite number since step {bad or self.done.step}. {kept}. "
            f"Lower optim.lr (now {self.config.optim.lr:g}), lengthen optim.warmup_steps, "
            f"set optim.clip_grad_norm=1, or use engine.precision=fp32."
        )
