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

from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch
from pgsclip.data.loading import Stream
from pgsclip.data.spec import open_source
from pgsclip.models.rate import wait_for
from pgsclip.training.arithmetic import measure_arithmetic
from pgsclip.training.build import build_engine, build_task, open_device, open_training_data, pairs_per_batch
from pgsclip.training.distributed import World
from pgsclip.training.engines.base import autocast_dtype, pick_engine
from pgsclip.training.memory import memory_gib, resting_bytes, taken_bytes
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.phases import plan_phases
from pgsclip.training.step import Stepper
from pgsclip.training.task import Task

_WARM = 2
"""Steps that are not counted: the first ones load libraries, fill caches and allocate Adam's moments."""
_SCALED = 4
"""As many more with fp16, whose first steps may only look for its scale and leave the moments out."""
_FEWEST, _MOST = 3, 50
_SECONDS = 6.0
"""What the counted steps take together, where that many fit; three of them take longer on a slow device."""
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
    gflops: float
    """Per pair, forward and backward, at the patches and tokens that were read."""
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
        only_memory: as few steps as tell it, and no look at the loader.

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
    reader = 0.0 if only_memory else config.data.pairs_per_step * _seconds_per_pair(stream, pairs)
    dtype = autocast_dtype(config.engine.precision, device)
    arithmetic = measure_arithmetic(config, built, device, dtype)
    name = pick_engine(config.engine, world, device)
    engine = build_engine(task, name, config.engine, config.optim, world, device, config.data.pairs_per_step)
    resting = resting_bytes(device) + (0 if name == "deepspeed" and config.engine.zero_stage else _moments(task))
    stepper = Stepper(engine, config.seed, world.rank, phases[-1].end)
    batches = stream.batches(batch_size=pairs, rank=0, world=1)
    clock = _Clock()
    flops: list[float] = []
    kept: list[float] = []

    def step(number: int) -> None:
        place = min(now.first + now.steps // 2 + number, now.end - 1)
        parts = clock.fetch(batches, config.optim.accumulate)
        _, report, _ = stepper.step(place, parts, learning_rate(place - now.first, now.steps, config.optim))
        flops.append(arithmetic.step(report.kept, [part.lengths for part in parts]))
        kept.append(report.kept)

    began = time.perf_counter()
    warm = _WARM + (_SCALED if dtype == torch.float16 else 0)
    usual = 0.0
    for number in range(warm):
        before = time.perf_counter()
        step(number)
        wait_for(device)
        usual = time.perf_counter() - before
    warmed_up = time.perf_counter()
    count = 0 if only_memory else min(_MOST, max(_FEWEST, math.ceil(_SECONDS / usual)))
    clock.waited = 0.0
    for number in range(warm, warm + count):
        step(number)
    wait_for(device)
    whole = (time.perf_counter() - warmed_up) / count if count else usual
    waited = clock.waited / max(count, 1)
    return Probed(
        steps=count,
        warm=warm,
        pairs=config.data.pairs_per_step,
        seconds=whole - waited,
        waited=waited,
        late=max(0.0, warmed_up - began - warm * whole),
        reader_seconds=reader,
        workers=stream.workers,
        kept=sum(kept[-count:]) / len(kept[-count:]),
        gflops=sum(flops[-count:]) / len(flops[-count:]) / config.data.pairs_per_step / 1e9,
        memory_gib=memory_gib(device),
        taken=taken_bytes(device),
        resting=resting,
    )


def _moments(task: Task) -> int:
    """Bytes that Adam allocates in its first step; ZeRO has done so before."""
    return sum(8 * parameter.numel() for parameter in task.parameters() if parameter.requires_grad)


class _Clock:
    """Takes batches from a loader and notes how long they made a step wait."""

    def __init__(self) -> None:
        self.waited = 0.0

    def fetch(self, batches: Iterator[Batch], count: int) -> list[Batch]:
        began = time.perf_counter()
        found = [next(batches) for _ in range(count)]
        self.waited += time.perf_counter() - began
        return found


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
