"""A few real steps of a run, to see what they take: seconds, memory, arithmetic, and how fast its data comes.

Model, masker, loss, engine, precision, accumulation and data are the run's own, and clock and memory are read as for
the rows of `metrics.jsonl`. Nothing is written, and nothing is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from pgsclip.config.phases import Phase, plan_phases
from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch
from pgsclip.data.loading import Stream
from pgsclip.data.spec import open_source
from pgsclip.distributed import World
from pgsclip.errors import TrainingError
from pgsclip.models.device_speed import wait_for
from pgsclip.training.assemble import build_engine, build_task, open_device, open_training_data, pairs_per_batch
from pgsclip.training.engines.base import autocast_dtype, pick_engine
from pgsclip.training.mfu import Arithmetic, measure_arithmetic
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.planning.memory import memory_gib, resting_bytes, taken_bytes
from pgsclip.training.step import Stepper
from pgsclip.training.task import Task

_WARM = 2
"""Steps that are not counted: the first ones load libraries, fill caches and allocate Adam's moments."""
_SCALED = 4
"""As many more with fp16, whose first steps may only look for its scale and leave the moments out."""
_FEWEST, _MOST = 3, 50
_SECONDS = 10.0
"""What the counted steps take together, where that many fit; three of them take longer on a slow device."""
_PATIENCE = 600.0
"""Seconds; steps whose arithmetic alone takes longer are not begun."""
_LOADER_SECONDS = 1.5
_LOADER_BATCH = 32


@dataclass(frozen=True)
class Probed:
    """What one process found for one phase of a run."""

    steps: int
    """Counted ones."""
    warm: int
    """Steps before them."""
    pairs: int
    """Per step."""
    seconds: float
    """Of a step, waiting for data left out."""
    waited: float
    """For data, in seconds a step."""
    late: float
    """Seconds by which the first steps took longer than others do, from the call for the first batch on."""
    reader_seconds: float
    """That one loader process needs for the pairs of a step, alone on its core."""
    workers: int
    kept: float
    """Share of the patches that were seen."""
    gflops: float | None
    """Per pair, forward and backward, at the patches and tokens that were read; None where nobody could count them."""
    memory_gib: float
    """As `metrics.jsonl` has it."""
    taken: int
    """Bytes that the training occupies in all, at its peak."""
    resting: int
    """And between its steps: at least weights and Adam's moments."""


def probe(config: RunConfig, phase: int, *, only_memory: bool = False) -> Probed:
    """Make a few steps of a phase, alone in this process.

    Args:
        phase: its number; the steps are those in its middle, with the weights of its start.
        only_memory: a single counted step, and no look at the loader.

    Raises:
        PgsclipError: the sentence that the run would stop with.
    """
    world = World()
    device = open_device(config.engine.device, world)
    source = open_source(config.data.spec, config.data)
    phases = plan_phases(config, source.size)
    now = phases[phase]
    config = now.config
    built, task = build_task(config, world, count_words=False)
    stream = open_training_data(config, built, source, world)
    pairs = pairs_per_batch(config, world)
    dtype = autocast_dtype(config.engine.precision, device)
    warm = _WARM + (_SCALED if dtype == torch.float16 else 0)
    arithmetic = measure_arithmetic(config, built, device, dtype)
    reader = 0.0
    if not only_memory:
        _refuse_hours(arithmetic, config, warm + _FEWEST)
        reader = config.data.pairs_per_step * _seconds_per_pair(stream, pairs)
    name = pick_engine(config.engine, world, device)
    engine = build_engine(task, name, config.engine, config.optim, world, device, config.data.pairs_per_step)
    resting = resting_bytes(device) + (0 if name == "deepspeed" and config.engine.zero_stage else _moments(task))
    steps = _Steps(
        phase=now,
        stepper=Stepper(engine, config.seed, world.rank, phases[-1].end),
        batches=stream.batches(batch_size=pairs, rank=world.rank, world=world.size),
        arithmetic=arithmetic,
    )
    began = time.perf_counter()
    steps.make(warm - 1)
    usual = steps.make(1)
    first = time.perf_counter() - began
    count = 1 if only_memory else min(_MOST, max(_FEWEST, math.ceil(_SECONDS / usual)))
    steps.forget()
    whole = steps.make(count) / count
    return Probed(
        steps=count,
        warm=warm,
        pairs=config.data.pairs_per_step,
        seconds=whole - steps.waited / count,
        waited=steps.waited / count,
        late=max(0.0, first - warm * whole),
        reader_seconds=reader,
        workers=stream.workers,
        kept=steps.kept / count,
        gflops=None if steps.flops is None else steps.flops / count / config.data.pairs_per_step / 1e9,
        memory_gib=memory_gib(device),
        taken=taken_bytes(device),
        resting=resting,
    )


@dataclass
class _Steps:
    """Steps from the middle of a phase on, and what they came to since this was last forgotten."""

    phase: Phase
    stepper: Stepper
    batches: Iterator[Batch]
    arithmetic: Arithmetic
    made: int = 0
    waited: float = 0.0
    """Seconds, for data."""
    kept: float = 0.0
    """Sum of the steps' shares."""
    flops: float | None = 0.0

    def make(self, count: int) -> float:
        """Make so many more; the seconds that they took."""
        began = time.perf_counter()
        for _ in range(count):
            self._step()
        wait_for(self.stepper.engine.device)
        return time.perf_counter() - began

    def forget(self) -> None:
        self.waited = self.kept = 0.0
        self.flops = 0.0

    def _step(self) -> None:
        optim, phase = self.phase.config.optim, self.phase
        number = min(phase.first + phase.steps // 2 + self.made, phase.end - 1)
        began = time.perf_counter()
        parts = [next(self.batches) for _ in range(optim.accumulation_steps)]
        self.waited += time.perf_counter() - began
        _, report, _ = self.stepper.step(number, parts, learning_rate(number - phase.first, phase.steps, optim))
        self.kept += report.patches_kept
        made = self.arithmetic.step(report.patches_kept, [part.lengths for part in parts])
        self.flops = None if made is None or self.flops is None else self.flops + made
        self.made += 1


def _refuse_hours(arithmetic: Arithmetic, config: RunConfig, steps: int) -> None:
    """A plan on a laptop for a run on eight GPUs ends here, before it fills the laptop's memory for an hour."""
    shortest = torch.ones(config.data.pairs_per_step, dtype=torch.long)
    step = arithmetic.step(1 - config.masker.ratio.high, [shortest])
    least = 0.0 if step is None else steps * step / arithmetic.rate
    if least > _PATIENCE:
        raise TrainingError(
            f"{steps} steps of {len(shortest):,} pairs would take more than {least / 60:.0f} minutes here; plan this "
            f"run where it is to be made, or a smaller one with --batch-size."
        )


def _moments(task: Task) -> int:
    """Bytes that Adam allocates in its first step; ZeRO has done so before."""
    return sum(8 * parameter.numel() for parameter in task.parameters() if parameter.requires_grad)


def _seconds_per_pair(stream: Stream, pairs: int) -> float:
    """Of one loader process that nothing holds up."""
    size = min(pairs, _LOADER_BATCH)
    batches = replace(stream, workers=1, shuffle=1).batches(batch_size=size, rank=0, world=1)
    for _ in range(2):  # it starts, and is ahead of us
        next(batches)
    began = time.perf_counter()
    count = 0
    while (took := time.perf_counter() - began) < _LOADER_SECONDS or count < 2:
        next(batches)
        count += 1
    batches.close()  # type: ignore[attr-defined]
    return took / (count * size)
