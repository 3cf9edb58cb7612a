"""One run from its config to its last checkpoint: build every part, train, say what came out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch
from pgsclip.data.faults import FaultLedger
from pgsclip.data.loading import Stream, open_data
from pgsclip.errors import ConfigError, RunError
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOut, held_out_sets
from pgsclip.losses import ContrastiveLoss, build_loss
from pgsclip.masking.build import build_masker
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.training.checkpoint import CheckpointFolder, Progress
from pgsclip.training.configure import Request
from pgsclip.training.display import Display
from pgsclip.training.distributed import World, join, leave, read_world
from pgsclip.training.engines.base import build_engine, pick_device, pick_engine
from pgsclip.training.loop import Loop
from pgsclip.training.run_folder import RunFolder
from pgsclip.training.task import Task


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to."""

    path: Path
    checkpoint: Path
    steps: int
    results: dict[str, float]
    """Of the last evaluation: `<dataset>/<metric>` → value."""


def train(request: Request, console: Console) -> Outcome:
    """Run to the end.

    Raises:
        PgsclipError: any mistake of configuration, data or numbers, as a sentence.
    """
    config = request.config
    world = read_world()
    device = pick_device(config.engine.device, world)
    with _joined(world, device):
        built, task = build_task(config, world)
        stream = _open_stream(config, built, world)
        total = total_steps(config, stream.size)
        folder = RunFolder(request.path)
        checkpoints = CheckpointFolder(folder.checkpoints, world, config.checkpoint.keep, built.config)
        last = checkpoints.last() if request.resume else None
        if request.resume and last is None:
            raise RunError(f"{request.path} has no complete checkpoint to resume from; start again in another --out.")
        if world.leads:
            folder.describe(config) if request.resume else folder.create(config)
        name = pick_engine(config.engine, world, device)
        engine = build_engine(task, name, config.engine, config.optim, world, device, config.data.batch_size)
        done = checkpoints.load(engine, last) if last else Progress(0, 0, 0.0)
        if world.leads:
            folder.forget_rows_after(done.step)
        sets = held_out_sets(config, built)
        encoder = Encoder(engine.features, built.tokenizer, device)
        with Display(total, console=console, silent=not world.leads) as display:
            _introduce(display, config, task, stream, name, device, done, sets)
            results: dict[str, float] = {}

            def evaluate() -> dict[str, float]:
                results.update({f"{s.name}/{key}": value for s in sets for key, value in s.evaluate(encoder).items()})
                return dict(results)

            loop = Loop(
                config=config,
                engine=engine,
                batches=_batches(stream, config, world, done),
                total=total,
                epoch_size=stream.size,
                world=world,
                folder=folder,
                checkpoints=checkpoints,
                display=display,
                ledger=FaultLedger(config.data.bad_share),
                evaluate=evaluate,
                done=done,
            )
            progress = loop.run()
    newest = checkpoints.last()
    assert newest is not None
    return Outcome(request.path, newest, progress.step, results)


def build_task(config: RunConfig, world: World) -> tuple[BuiltModel, Task]:
    """Model, masker and loss of a config, joined into the module that an engine wraps."""
    loss_class = load_loss(config.loss.name)
    built = build_model(config.model, seed=config.seed, loss_has_bias=loss_class.needs_bias)
    masker = build_masker(config.masker.name, config.masker.params)
    if config.masker.ratio.is_range and not masker.chooses_ratio:
        refuse_range(config.masker.name, config.masker.ratio)
    loss: ContrastiveLoss = loss_class(rank=world.rank, world_size=world.size)
    return built, Task(built, masker, loss, config)


def total_steps(config: RunConfig, samples: int) -> int:
    """Length of the run in steps; `optim.steps` wins over `optim.epochs`."""
    if config.optim.steps is not None:
        return config.optim.steps
    if config.optim.epochs is None:
        raise ConfigError("The run has no length: give --steps or --epochs, or a --recipe that has one.")
    return max(1, int(config.optim.epochs * samples // config.data.batch_size))
