"""One phase of a run after another: build its parts, go on from the phase before, train."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch
from torch import nn

from pgsclip.config.phases import Phase
from pgsclip.data.faults import FaultLedger
from pgsclip.data.loading import Stream
from pgsclip.data.source import PairSource
from pgsclip.errors import MaskerError
from pgsclip.evaluation.encoder import Encoder
from pgsclip.models.build import BuiltModel
from pgsclip.models.weights import load_weights
from pgsclip.training.assemble import (
    build_engine,
    build_task,
    held_out_spec,
    open_held_out,
    open_training_data,
    pairs_per_batch,
)
from pgsclip.training.diagnosis import plan_diagnosis
from pgsclip.training.display import beginning, introduction
from pgsclip.training.engines.base import Engine, autocast_dtype, pick_engine
from pgsclip.training.feed import Feed
from pgsclip.training.held_out_evaluation import HeldOutEvaluation
from pgsclip.training.loop import Loop
from pgsclip.training.meter import Meter
from pgsclip.training.mfu import Arithmetic, measure_arithmetic
from pgsclip.training.monitor import Monitor
from pgsclip.training.nonfinite import NonFiniteGuard
from pgsclip.training.request import Request
from pgsclip.training.run_log import RunLog
from pgsclip.training.saved.checkpoint import CheckpointFolder, StoredCheckpoint
from pgsclip.training.saved.rank_state import RankState
from pgsclip.training.saved.resume import place_rank
from pgsclip.training.saved.run_lock import RunLock
from pgsclip.training.saver import Saver
from pgsclip.training.schedule import plan_schedule
from pgsclip.training.step import Stepper
from pgsclip.training.stop import StopRequest
from pgsclip.training.task import Task


@dataclass
class PhaseTrainer:
    """What stays the same over all phases of a run."""

    request: Request
    phases: list[Phase]
    source: PairSource
    device: torch.device
    log: RunLog
    lock: RunLock
    checkpoints: CheckpointFolder
    stop: StopRequest

    def has_work(self, phase: Phase, stored: StoredCheckpoint) -> bool:
        """Whether a phase has steps to do, or was broken off at its end before its evaluation was written down."""
        config = phase.config
        evaluated = held_out_spec(config) is not None or config.evaluate.suite is not None
        owes = stored.step == phase.end and evaluated and not self.log.has_results(stored.step)
        return stored.step < phase.end or owes

    def train(self, phase: Phase, stored: StoredCheckpoint | None) -> list[str]:
        """Train one phase, from its start or from a checkpoint within it.

        Returns:
            What its last evaluation found, as sentences.
        """
        config, world = phase.config, self.log.world
        built, task = build_task(config, world, begin=stored is None)
        stream = open_training_data(config, built, self.source, world)
        evaluation = HeldOutEvaluation(open_held_out(config, built))
        if stored is None and built.finding:
            self.log.say(built.finding)
        if stored is not None:
            self._load(built.model, stored)
            self._restore_plugins(task, phase, stored)
        dtype = autocast_dtype(config.engine.precision, self.device)
        arithmetic = measure_arithmetic(config, built, self.device, dtype)
        engine, engine_name = self._build_engine(phase, built, task, stored)
        start, nearby = place_rank(stored, world, workers=stream.worker_count, epoch_size=stream.size)
        self.log.open(self.request, start.step, self.lock)
        if nearby:
            self.log.say(nearby)
        self.log.say(introduction(self.request, self.phases, phase, stream, engine_name, self.device, start))
        if arithmetic.finding:
            self.log.say_once(arithmetic.finding)
        for line in beginning(config.model, built):
            self.log.say(line)
        evaluation.encoder = Encoder(engine.encode, built.tokenizer, self.device)
        self._loop(phase, engine, stream, start, evaluation, arithmetic).run()
        del engine, task, built  # before the next phase builds its own
        gc.collect()
        return evaluation.sentences

    def _build_engine(
        self, phase: Phase, built: BuiltModel, task: Task, stored: StoredCheckpoint | None
    ) -> tuple[Engine, str]:
        """Hand the task to an engine, with Adam's memory of the checkpoint; the engine, and what a person calls it."""
        config, world = phase.config, self.log.world
        name = pick_engine(config.engine, world, self.device)
        shapes = {name: p.shape for name, p in built.model.named_parameters()}  # before ZeRO-3 empties them
        engine = build_engine(task, name, config.engine, config.optim, world, self.device, config.data.pairs_per_step)
        if stored is not None:
            engine.restore(stored.optimizer.fitting(shapes))
        return engine, f"{name} engine"

    def _load(self, model: nn.Module, stored: StoredCheckpoint) -> None:
        changed = "; ".join(self.request.changed)
        load_weights(
            model,
            stored.weights,
            advice=f"This run goes on with other settings than it had: {changed}. Take back those that change the "
            f"model, or start a run of its own in another --out."
            if changed
            else f"They were written by another version of the model; {self.request.path / 'environment.json'} names "
            f"the packages of the run.",
        )

    def _restore_plugins(self, task: Task, phase: Phase, stored: StoredCheckpoint) -> None:
        """Restore what plugins keep, where the checkpoint has it; a masker's own model else begins with these weights.

        Only where a phase begins may the state of a masker not fit: another image size changes its model's shapes.
        """
        task.start_masker()
        try:
            task.load_states(stored.states)
        except MaskerError:
            if phase.number == 0 or stored.step != phase.first:
                raise
            task.start_masker()
            self.log.say("The masker's own model has another shape in this phase and begins with the weights.")

    def _loop(
        self,
        phase: Phase,
        engine: Engine,
        stream: Stream,
        start: RankState,
        evaluation: HeldOutEvaluation,
        arithmetic: Arithmetic,
    ) -> Loop:
        config, world, total = phase.config, self.log.world, self.phases[-1].end
        folder, checkpoints = self.log.folder, self.checkpoints
        ledger = FaultLedger(config.data.max_bad_share)
        ledger.load(start.faults)
        batches = stream.batches(
            batch_size=pairs_per_batch(config, world),
            rank=world.rank,
            world=world.size,
            start=start.positions,
            batches_done=start.batches,
        )
        return Loop(
            phase=phase,
            schedule=plan_schedule(phase, total, check_always=self.device.type == "cpu" and world.size == 1),
            stepper=Stepper(engine, config.seed, world.rank, total),
            feed=Feed(batches, config, stream.size, ledger, start),
            monitor=Monitor(
                Meter(self.device, arithmetic.rate),
                arithmetic,
                plan_diagnosis(phase),
                NonFiniteGuard(config.optim, world.rank, folder, checkpoints, self.log.say),
                config.data.pairs_per_step,
            ),
            log=self.log,
            saver=Saver(config, total, world, folder, checkpoints),
            evaluate=evaluation,
            stop=self.stop,
        )
