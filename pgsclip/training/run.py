"""One run from its config to its last checkpoint: build every part, train phase after phase, tell what came out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from pgsclip.config.phases import Phase, plan_phases
from pgsclip.data.batch import Position
from pgsclip.data.faults import FaultLedger
from pgsclip.data.loading import Stream
from pgsclip.data.reshard import resume_position
from pgsclip.data.source import PairSource
from pgsclip.data.spec import open_source
from pgsclip.distributed import World, broadcast_object, fail_together
from pgsclip.errors import MaskerError, RunError
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOut
from pgsclip.launchers import read_world
from pgsclip.loggers.contract import RunInfo, RunLogger
from pgsclip.loggers.registry import Loggers, check_loggers
from pgsclip.models.weights import load_weights
from pgsclip.process_group import explain_lost_peers, joined
from pgsclip.training.assemble import (
    build_engine,
    build_task,
    held_out_spec,
    open_device,
    open_held_out,
    open_training_data,
    pairs_per_batch,
)
from pgsclip.training.diagnosis import Diagnosis
from pgsclip.training.display import Display, beginning, change_since, introduction
from pgsclip.training.engines.base import Engine, autocast_dtype, pick_engine
from pgsclip.training.loop import Loop
from pgsclip.training.mask_pictures import check_mask_images
from pgsclip.training.mfu import Arithmetic, measure_arithmetic
from pgsclip.training.planning.autotune import settled_request
from pgsclip.training.planning.memory import enough_memory
from pgsclip.training.request import Request
from pgsclip.training.saved.checkpoint import CheckpointFolder, Progress, Stored, read_checkpoint
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.saved.run_lock import RunLock, locked_run
from pgsclip.training.stop import StopRequest
from pgsclip.training.task import Task


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to."""

    path: Path
    checkpoint: Path
    steps: int
    findings: list[str]
    """Of the last evaluation, a sentence for each held-out set."""
    led_by_us: bool
    """Whether this process is the one that speaks."""


def train(request: Request, console: Console, stop: StopRequest | None = None) -> Outcome:
    """Run to the end.

    Args:
        stop: who may ask the run to stop, if the caller listens already; signals, else.

    Raises:
        PgsclipError: any mistake of configuration, data or numbers, as a sentence. UnfinishedError: asked to stop.
    """
    world = read_world()
    check_mask_images(request.config)
    makers = check_loggers(request.config.log.loggers)
    with ExitStack() as around:
        stop = stop or around.enter_context(StopRequest())
        request, findings = settled_request(request, world, console, stop)
        config = request.config
        device = open_device(config.engine.device, world)
        around.enter_context(joined(world, device, minutes=config.engine.timeout_minutes))
        claim = around.enter_context(locked_run(request.path, world.leads))
        around.enter_context(explain_lost_peers("go on from the last checkpoint with --resume"))
        around.enter_context(enough_memory(config.data.pairs_per_step))
        request = broadcast_object(request)  # another machine may see later than the leader what is in the folder
        config = request.config
        folder = RunFolder(request.path)
        if request.resume:
            fail_together(claim.take)
        checkpoints = CheckpointFolder(folder.checkpoints, world, config.checkpoint.keep)
        stored, finding = _stored(request, checkpoints)
        source = open_source(config.data.spec, config.data)
        phases = plan_phases(config, source.size)
        if stored is not None and stored.ranks[0].step > phases[-1].end:
            raise RunError(
                f"The run in {request.path} has done {stored.ranks[0].step} steps and now is to have "
                f"{phases[-1].end}; give more --steps or --epochs, or leave both out."
            )
        with Display(phases[-1].end, console=console, silent=not world.leads) as display:
            for sentence in (*request.findings, *findings, finding, change_since(request, stored)):
                if sentence:
                    display.say(sentence)
            run = _Run(request, world, device, source, folder, claim, checkpoints, phases, display, stop, makers)
            around.callback(lambda: run.loggers.close())
            for phase in phases:
                if stored is None or phase is phases[-1] or run.has_work(phase, stored):
                    results = run.train(phase, stored)
                    stored = read_checkpoint(checkpoints.last_or_error())
    return Outcome(request.path, checkpoints.last_or_error(), phases[-1].end, results, world.leads)


@dataclass
class _Run:
    """What stays the same over all phases."""

    request: Request
    world: World
    device: torch.device
    source: PairSource
    folder: RunFolder
    claim: RunLock
    checkpoints: CheckpointFolder
    phases: list[Phase]
    display: Display
    stop: StopRequest
    makers: dict[str, Callable[[RunInfo], RunLogger]]
    _opened: bool = False
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.loggers = Loggers({}, self.display.say)

    def has_work(self, phase: Phase, stored: Stored) -> bool:
        """Whether a phase has steps to do, or was broken off at its end before its evaluation was written down."""
        config = phase.config
        evaluated = held_out_spec(config) is not None or config.evaluate.suite is not None
        step = stored.ranks[0].step
        owes = step == phase.end and evaluated and not broadcast_object(self.folder.has_results(step))
        return step < phase.end or owes

    def _load(self, model: nn.Module, stored: Stored) -> None:
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

    def train(self, phase: Phase, stored: Stored | None) -> list[str]:
        """One phase, from its start or from a checkpoint within it; what the last evaluation found."""
        config, world = phase.config, self.world
        built, task = build_task(config, world, begin=stored is None)
        stream = open_training_data(config, built, self.source, world)
        evaluation = Evaluation(open_held_out(config, built))
        if stored is None and built.finding:
            self.display.say(built.finding)
        if stored is not None:
            self._load(built.model, stored)
            self._restore_plugins(task, phase, stored)
        name = pick_engine(config.engine, world, self.device)
        dtype = autocast_dtype(config.engine.precision, self.device)
        arithmetic = measure_arithmetic(config, built, self.device, dtype)
        shapes = {name: p.shape for name, p in built.model.named_parameters()}
        engine = build_engine(task, name, config.engine, config.optim, world, self.device, config.data.pairs_per_step)
        if stored is not None:
            engine.restore(stored.optimizer.fitting(shapes))
        start = self._start(stored, stream)
        if not self._opened:
            fail_together(lambda: self._open_folder(start))
            self._opened = True
        self.display.say(introduction(self.request, self.phases, phase, stream, f"{name} engine", self.device, start))
        if arithmetic.finding:
            self._say_once(arithmetic.finding)
        for line in beginning(config.model, built):
            self.display.say(line)
        evaluation.encoder = Encoder(engine.encode, built.tokenizer, self.device)
        self._loop(phase, engine, stream, start, evaluation, arithmetic).run()
        del engine, task, built  # before the next phase builds its own
        gc.collect()
        return evaluation.sentences

    def _say_once(self, sentence: str) -> None:
        """What holds for every phase is said in the first one."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.display.say(sentence)

    def _restore_plugins(self, task: Task, phase: Phase, stored: Stored) -> None:
        """What plugins keep, where the checkpoint has it; a masker's own model else begins with these weights."""
        task.start()
        try:
            task.load_states(stored.states)
        except MaskerError:
            if phase.number == 0 or stored.ranks[0].step != phase.first:
                raise
            task.start()
            self.display.say("The masker's own model has another shape in this phase and begins with the weights.")

    def _loop(
        self,
        phase: Phase,
        engine: Engine,
        stream: Stream,
        start: Progress,
        evaluation: Evaluation,
        arithmetic: Arithmetic,
    ) -> Loop:
        config, world = phase.config, self.world
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
            engine=engine,
            batches=batches,
            total=self.phases[-1].end,
            epoch_size=stream.size,
            world=world,
            folder=self.folder,
            checkpoints=self.checkpoints,
            display=self.display,
            ledger=ledger,
            evaluate=evaluation,
            stop=self.stop,
            diagnosis=Diagnosis(
                contrast=config.data.pairs_per_step
                if config.loss.name == "clip" and not config.loss.auxiliary
                else None,
                largest_scale=config.loss.max_scale,
                warmup_steps=phase.first + config.optim.warmup_steps,
            ),
            loggers=self.loggers,
            arithmetic=arithmetic,
            done=start,
        )

    def _start(self, stored: Stored | None, stream: Stream) -> Progress:
        """Where this rank goes on: to the bit with the same number of readers, else nearby."""
        if stored is None:
            return Progress(streams=stream.worker_count)
        first = stored.ranks[0]
        if len(stored.ranks) == self.world.size and first.streams == stream.worker_count:
            return stored.ranks[self.world.rank]
        before = [position for rank in stored.ranks for position in rank.positions_of_all_streams()]
        now = self.world.size * stream.worker_count
        epoch, taken = resume_position(before, stream.size, now)
        self.display.say(
            f"The checkpoint was written by {len(stored.ranks)} x {first.streams} loader workers and now there are "
            f"{self.world.size} x {stream.worker_count}: weights and optimiser go on exactly, the data at the same "
            f"place up to a shard per worker."
        )
        return Progress(
            step=first.step,
            samples=first.samples,
            epoch=first.epoch,
            streams=stream.worker_count,
            positions=tuple(Position(worker, epoch, taken) for worker in range(stream.worker_count)),
            faults=FaultLedger.joined(rank.faults for rank in stored.ranks).state() if self.world.leads else {},
        )

    def _open_folder(self, start: Progress) -> None:
        if not self.world.leads:
            return
        if self.request.resume:
            self.folder.describe(self.request.config)
            self.folder.forget_rows_after(start.step)
        else:
            self.folder.create(self.request.config)
            self.claim.take()
        run = RunInfo(self.folder.path, self.request.config.model_dump(mode="json"), start.step)
        self.loggers = Loggers({name: make(run) for name, make in self.makers.items()}, self.display.say)


@dataclass
class Evaluation:
    """All held-out sets on one encoder; remembers its last results as sentences."""

    sets: list[HeldOut]
    encoder: Encoder | None = None
    sentences: list[str] = field(default_factory=list)

    def __call__(self) -> dict[str, float]:
        """`<dataset>/<metric>` → value."""
        assert self.encoder is not None
        results: dict[str, float] = {}
        self.sentences = []
        for held_out in self.sets:
            found = held_out.evaluate(self.encoder)
            results |= {f"{held_out.name}/{metric}": value for metric, value in found.items()}
            self.sentences.append(held_out.sentence(found))
        return results


def _stored(request: Request, checkpoints: CheckpointFolder) -> tuple[Stored | None, str | None]:
    """The checkpoint to go on from, if that is asked for, and what there is to say about newer ones."""
    if not request.resume:
        return None, None
    choice = checkpoints.choose()
    if choice.path is None and not request.may_start:
        raise RunError(f"{request.path} has no complete checkpoint to resume from; start again in another --out.")
    return None if choice.path is None else read_checkpoint(choice.path), choice.finding
