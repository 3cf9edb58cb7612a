"""The training loop: fetch, forward, backward, step; log, save and evaluate when it is time, stop when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from statistics import fmean

from pgsclip.config.phases import Phase
from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch, Position
from pgsclip.data.faults import FaultLedger
from pgsclip.distributed import DelayedFlag, World, broadcast_object, gather_objects, is_true_on_any_rank
from pgsclip.errors import TrainingError, UnfinishedError
from pgsclip.loggers.contract import Row
from pgsclip.loggers.registry import Loggers
from pgsclip.training.diagnosis import Diagnosis
from pgsclip.training.display import Display
from pgsclip.training.engines.base import Engine
from pgsclip.training.mask_pictures import draw_masks
from pgsclip.training.meter import Meter
from pgsclip.training.mfu import Arithmetic
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.saved.checkpoint import CheckpointFolder, Progress
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.step import Stepper
from pgsclip.training.stop import StopRequest

_HOPELESS = 25
"""Steps in a row without a finite gradient after which skipping them is no way out."""


@dataclass
class Loop:
    """Everything that a phase of a run has in its hands while it trains."""

    phase: Phase
    engine: Engine
    batches: Iterator[Batch]
    total: int
    """Steps of all phases."""
    epoch_size: int
    world: World
    folder: RunFolder
    checkpoints: CheckpointFolder
    display: Display
    ledger: FaultLedger
    evaluate: Callable[[], dict[str, float]]
    stop: StopRequest
    diagnosis: Diagnosis
    loggers: Loggers
    arithmetic: Arithmetic
    done: Progress
    _positions: dict[int, Position] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)
    _bad_in_a_row: int = 0

    @property
    def config(self) -> RunConfig:
        return self.phase.config

    def run(self) -> Progress:
        """Train from where the run stands to the end of its phase; that step is always logged, evaluated and saved.

        Raises:
            TrainingError: loss or gradient is not finite. The last checkpoint was written before that step.
            DataError: too many samples cannot be used.
            UnfinishedError: somebody asked to stop; everything up to this step is saved.
        """
        self._positions.update({position.worker: position for position in self.done.positions})
        meter, stopping = Meter(self.engine.device, self.arithmetic.rate), DelayedFlag()
        stepper = Stepper(self.engine, self.config.seed, self.world.rank, self.total)
        if self._owes_results():
            with meter.paused():
                self._evaluate()
        for step in range(self.done.step, self.phase.end):
            batches, waited = self._fetch()
            lr = learning_rate(step - self.phase.first, self.phase.steps, self.config.optim)
            loss, report, left_out = stepper.step(step, batches, lr)
            self._advance(step, batches)
            keys = [key for batch in batches for key in batch.keys]
            flops = self.arithmetic.step(report.patches_kept, [batch.lengths for batch in batches])
            samples = self.config.data.pairs_per_step
            meter.add(step + 1, loss, report, left_out=left_out, keys=keys, samples=samples, flops=flops, waited=waited)
            stop = stopping.exchange(self.stop.reason is not None)
            log, save = self._is_due(self.config.log.every_steps), self._is_due(self.config.checkpoint.every_steps)
            evaluate = self._is_due(self.config.evaluate.every_steps)
            if log or save or stop or evaluate or (self.engine.device.type == "cpu" and self.world.size == 1):
                self._judge(meter)
            if log:
                self._log(meter, lr)
            if save or stop or evaluate or (log and self._is_time_to_save()):
                with meter.paused():
                    self._save()  # before evaluation, so that whatever goes wrong there costs no training
            if stop and self.done.step < self.total:
                raise UnfinishedError(self._farewell())
            if evaluate:
                with meter.paused():
                    self._evaluate()
                # evaluation may have taken long
                if self.done.step < self.total and is_true_on_any_rank(self.stop.reason is not None):
                    raise UnfinishedError(self._farewell())
        stopping.close()
        return self.done

    def _fetch(self) -> tuple[list[Batch], float]:
        began = time.perf_counter()
        batches = [next(self.batches) for _ in range(self.config.optim.accumulation_steps)]
        waited = time.perf_counter() - began
        for batch in batches:
            self.ledger.add(batch)
        return batches, waited

    def _advance(self, step: int, batches: list[Batch]) -> None:
        for batch in batches:
            self._positions[batch.position.worker] = batch.position
        samples = self.done.samples + self.config.data.pairs_per_step
        self.done = replace(
            self.done,
            step=step + 1,
            samples=samples,
            epoch=samples / self.epoch_size,
            batches=self.done.batches + len(batches),
            positions=tuple(self._positions.values()),
        )

    def _is_due(self, every: int | None) -> bool:
        """At every multiple and at the last step of the phase."""
        return self.done.step == self.phase.end or (every is not None and self.done.step % every == 0)

    def _is_time_to_save(self) -> bool:
        """All ranks ask at log steps only and decide together, as their clocks differ."""
        minutes = self.config.checkpoint.every_minutes
        return minutes is not None and is_true_on_any_rank(time.monotonic() - self._saved_at >= 60 * minutes)

    def _log(self, meter: Meter, lr: float) -> None:
        figures = meter.row()
        ledgers, shares = zip(*gather_objects((self.ledger.state(), figures.get("mfu"))), strict=True)
        if "mfu" in figures:
            figures["mfu"] = fmean(shares)  # each rank has captions of its own
        row = {"step": self.done.step, "samples": self.done.samples, "epoch": round(self.done.epoch, 6), **figures}
        row["lr"] = lr
        seconds = (self.total - self.done.step) * self.config.data.pairs_per_step / max(figures["samples_per_s"], 1e-9)
        self.display.show(row, seconds)
        for finding in self.diagnosis.inspect(row):
            self.display.say(finding)
        if self.world.leads:
            self._keep(row)
            FaultLedger.joined(ledgers).write(self.folder.faults)

    def _owes_results(self) -> bool:
        """Whether an evaluation comes first: that of a finished run, or one that was broken off."""
        finished = self.done.step >= self.phase.end  # there is only its result to tell
        due = self.done.step > self.phase.first and self._is_due(self.config.evaluate.every_steps)
        return finished or (due and not broadcast_object(self.folder.has_results(self.done.step)))

    def _evaluate(self) -> None:
        results = self.evaluate()
        if self.world.leads and results and not self.folder.has_results(self.done.step):
            self._keep({"step": self.done.step, **{f"eval/{name}": value for name, value in results.items()}})
        if results:
            figures = "  ".join(f"{name} {value:.4f}" for name, value in results.items())
            self.display.say(f"step {self.done.step}  {figures}")

    def _keep(self, row: Row) -> None:
        self.folder.add_row(row)
        self.loggers.log(row)

    def _save(self) -> None:
        if self.world.leads:  # first, so that a power cut never leaves a checkpoint whose rows are lost
            self.folder.flush_rows()
        saved = self.checkpoints.save(self.engine, replace(self.done, faults=self.ledger.state()))
        if self.world.leads and self.config.log.mask_images:
            out = self.folder.path / "masks" / f"{saved.name}.png"
            draw_masks(self.config, saved, out, self.done.step / self.total)
        self._saved_at = time.monotonic()

    def _farewell(self) -> str:
        why = self.stop.reason or "another process"
        return (
            f"Stopped by {why} after step {self.done.step} of {self.total}; everything up to there is saved in "
            f"{self.folder.path}. Go on with the same command and --resume."
        )

    def _judge(self, meter: Meter) -> None:
        """Look at the numbers of the steps since the last look; on all ranks alike."""
        bad, looked_at = meter.judge()
        if not is_true_on_any_rank(bool(bad)):
            self._bad_in_a_row = 0
            return
        self.folder.keep_batches(self.world.rank, bad)
        self._bad_in_a_row = self._bad_in_a_row + looked_at if len(bad) == looked_at else 0
        first = min(bad, default=self.done.step)
        what = f"Loss or gradient was not a finite number at step {first}"
        where = f"the samples of that step are named in {self.folder.path / 'nonfinite'}"
        if self.config.optim.on_nonfinite == "skip" and self._bad_in_a_row < _HOPELESS:
            self.display.say(f"{what}; that update was left out, {where}.")
            return
        last = self.checkpoints.last()
        kept = f"The last good checkpoint is {last}" if last else "There is no checkpoint yet"
        again = f", {self._bad_in_a_row} times in a row" if self._bad_in_a_row >= _HOPELESS else ""
        raise TrainingError(
            f"{what}{again}; {where}. {kept}. Lower optim.lr (now {self.config.optim.lr:g}), lengthen "
            f"optim.warmup_steps, set optim.clip_grad_norm=1, or use engine.precision=fp32; optim.on_nonfinite=skip "
            f"goes on without such updates."
        )
