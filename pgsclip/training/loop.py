"""The training loop: fetch, step, and what is due: check, log, save, evaluate, stop when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from pgsclip.config.phases import Phase
from pgsclip.data.faults import FaultLedger
from pgsclip.distributed import DelayedFlag, gather_objects, is_true_on_any_rank
from pgsclip.errors import UnfinishedError
from pgsclip.training.feed import Feed
from pgsclip.training.monitor import Monitor
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.run_log import RunLog
from pgsclip.training.saved.rank_state import RankState
from pgsclip.training.saver import Saver
from pgsclip.training.schedule import Schedule
from pgsclip.training.step import Stepper
from pgsclip.training.stop import StopRequest


@dataclass
class Loop:
    """One phase of a run, on one rank: five collaborators, and what to do with them."""

    phase: Phase
    schedule: Schedule
    stepper: Stepper
    feed: Feed
    monitor: Monitor
    log: RunLog
    saver: Saver
    evaluate: Callable[[], dict[str, float]]
    """`<dataset>/<metric>` → value, on all ranks together."""
    stop: StopRequest

    def run(self) -> RankState:
        """Train from where the run stands to the end of its phase; that step is always logged, evaluated and saved.

        Raises:
            TrainingError: loss or gradient is not finite. The last checkpoint was written before that step.
            DataError: too many samples cannot be used.
            UnfinishedError: somebody asked to stop; everything up to this step is saved.
        """
        stopping = DelayedFlag()
        if self._owes_results():
            self._evaluate()
        for step in range(self._done, self.phase.end):
            batches, waited = self.feed.fetch()
            lr = learning_rate(step - self.phase.first, self.phase.steps, self.phase.config.optim)
            made = self.stepper.step(step, batches, lr)
            self.feed.advance(batches)
            self.monitor.add(self._done, made, batches, waited)
            due = self.schedule.after(self._done, asked_to_stop=stopping.exchange(self.stop.reason is not None))
            if due.check:  # before the rest, so that nothing is logged or saved of a run that has diverged
                self.monitor.check(self._done)
            if due.log:
                self._log(lr)
            if due.save or (due.log and self.saver.is_time()):
                self._save()
            if due.stop:
                raise UnfinishedError(self._farewell())
            if due.evaluate:
                self._evaluate()
                self._stop_after_evaluation()
        stopping.close()
        return self.feed.state

    @property
    def _done(self) -> int:
        """Steps of the run that are done."""
        return self.feed.state.step

    def _owes_results(self) -> bool:
        """Whether an evaluation comes first: that of a finished run, or one that was broken off."""
        finished = self._done >= self.phase.end  # there is only its result to tell
        due = self._done > self.phase.first and self.schedule.after(self._done).evaluate
        return finished or (due and not self.log.has_results(self._done))

    def _log(self, lr: float) -> None:
        figures = self.monitor.figures()
        ledgers, shares = zip(*gather_objects((self.feed.ledger.state(), figures.get("mfu"))), strict=True)
        if "mfu" in figures:
            figures["mfu"] = fmean(shares)  # each rank has captions of its own
        state, total = self.feed.state, self.schedule.total
        row = {"step": state.step, "samples": state.samples, "epoch": round(state.epoch, 6), **figures, "lr": lr}
        pairs_left = (total - state.step) * self.phase.config.data.pairs_per_step
        self.log.show(row, seconds_left=pairs_left / max(figures["samples_per_s"], 1e-9))
        for finding in self.monitor.inspect(row):
            self.log.say(finding)
        self.log.add_row(row)
        if self.log.world.leads:
            FaultLedger.joined(ledgers).write(self.log.folder.faults)

    def _save(self) -> None:
        with self.monitor.paused():
            self.saver.save(self.stepper.engine, self.feed.state_to_save())

    def _evaluate(self) -> None:
        with self.monitor.paused():
            self.log.add_results(self._done, self.evaluate())

    def _stop_after_evaluation(self) -> None:
        """Stop at once where somebody asked meanwhile: an evaluation may take long, and all is saved already."""
        if self._done < self.schedule.total and is_true_on_any_rank(self.stop.reason is not None):
            raise UnfinishedError(self._farewell())

    def _farewell(self) -> str:
        return (
            f"Stopped by {self.stop.reason or 'another process'} after step {self._done} of {self.schedule.total}; "
            f"everything up to there is saved in {self.log.folder.path}. Go on with the same command and --resume."
        )
