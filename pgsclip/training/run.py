"""One run from its config to its last checkpoint: build every part, train, hand over what came out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from pgsclip import plugins
from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch
from pgsclip.data.faults import FaultLedger
from pgsclip.data.loading import Stream, open_data
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.errors import ConfigError, PluginError, RunError
from pgsclip.evaluation.during import open_suite
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOut, held_out_sets
from pgsclip.masking.build import build_masker
from pgsclip.masking.selection import refuse_range
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.training.checkpoint import CheckpointFolder, Progress
from pgsclip.training.configure import Request
from pgsclip.training.display import Display
from pgsclip.training.distributed import World, join, leave, read_world
from pgsclip.training.engines.base import Engine, build_engine, pick_device, pick_engine
from pgsclip.training.loop import Loop
from pgsclip.training.run_folder import RunFolder
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


def train(request: Request, console: Console) -> Outcome:
    """Run to the end.

    Raises:
        PgsclipError: any mistake of configuration, data or numbers, as a sentence.
    """
    config = request.config
    world = read_world()
    device = open_device(config.engine.device, world)
    with _joined(world, device):
        built, task = build_task(config, world)
        stream = open_stream(config, built, world)
        total = total_steps(config, stream.size)
        folder = RunFolder(request.path)
        checkpoints = CheckpointFolder(folder.checkpoints, world, config.checkpoint.keep)
        last = _last_checkpoint(request, checkpoints)
        name = pick_engine(config.engine, world, device)
        engine = build_engine(task, name, config.engine, config.optim, world, device, config.data.batch_size)
        done = checkpoints.load(engine, last) if last else Progress(0, 0, 0.0)
        sets = open_held_out(config, built)
        if world.leads:
            _open_folder(folder, request, done)
        with Display(total, console=console, silent=not world.leads) as display:
            display.say(_introduction(request, stream, name, engine, done, total))
            evaluation = Evaluation(sets, Encoder(engine.features, built.tokenizer, device))
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
                evaluate=evaluation,
                done=done,
            )
            progress = loop.run()
    newest = checkpoints.last()
    assert newest is not None
    return Outcome(request.path, newest, progress.step, evaluation.sentences, world.leads)


@dataclass
class Evaluation:
    """All held-out sets on one encoder; remembers its last results as sentences."""

    sets: list[HeldOut]
    encoder: Encoder
    sentences: list[str] = field(default_factory=list)

    def __call__(self) -> dict[str, float]:
        """`<dataset>/<metric>` → value."""
        results: dict[str, float] = {}
        self.sentences = []
        for held_out in self.sets:
            found = held_out.evaluate(self.encoder)
            results |= {f"{held_out.name}/{metric}": value for metric, value in found.items()}
            self.sentences.append(held_out.sentence(found))
        return results


def open_device(wanted: str, world: World) -> torch.device:
    """The device called `wanted`, for this process.

    Raises:
        ConfigError: there is no such device here.
    """
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if wanted not in ("auto", "cpu", *there):
        raise ConfigError(f"There is no kind of device {wanted!r}; give auto, cpu, cuda or mps.")
    if there.get(wanted, 1) == 0:
        raise ConfigError(f"There is no {wanted} device on this machine; give auto or cpu, or run where there is one.")
    if (wanted == "cuda" or (wanted == "auto" and there["cuda"])) and world.local_rank >= there["cuda"]:
        raise ConfigError(
            f"Process {world.local_rank} of this machine has no GPU of its own, as there are {there['cuda']}; "
            f"start that many processes here (torchrun --nproc-per-node {there['cuda']}), or give engine.device=cpu."
        )
    return pick_device(wanted, world)


def build_task(config: RunConfig, world: World) -> tuple[BuiltModel, Task]:
    """Model, masker and loss of a config, joined into the module that an engine wraps."""
    loss_class = plugins.load(plugins.LOSSES, config.loss.name)
    if not hasattr(loss_class, "needs_bias"):
        raise PluginError(
            f"{config.loss.name!r} is not a loss: a loss is a class with needs_bias and __call__, built with rank and "
            f"world_size. See pgsclip.losses.ContrastiveLoss, or take clip or siglip."
        )
    masker = build_masker(config.masker.name, config.masker.params)
    if config.masker.ratio.is_range and not masker.chooses_ratio:
        refuse_range(config.masker.name, config.masker.ratio)
    built = build_model(config.model, seed=config.seed, loss_has_bias=loss_class.needs_bias)
    return built, Task(built, masker, loss_class(rank=world.rank, world_size=world.size), config)


def open_stream(config: RunConfig, built: BuiltModel, world: World) -> Stream:
    """The training pairs, after a check that the batch divides over the processes."""
    if config.data.batch_size % world.size:
        raise ConfigError(
            f"data.batch_size {config.data.batch_size} is the batch of all processes together and does not divide "
            f"over {world.size}; give a multiple of {world.size}."
        )
    return open_data(
        config.data.spec,
        config=config.data,
        transform=built.preprocess_train(config.data.crop_scale),
        tokenizer=built.tokenizer,
        seed=config.seed,
        world=world.size,
    )


def total_steps(config: RunConfig, samples: int) -> int:
    """Length of the run in steps; `optim.steps` wins over `optim.epochs`."""
    if config.optim.steps is not None:
        return config.optim.steps
    if config.optim.epochs is None:
        raise ConfigError("The run has no length: give --steps or --epochs, or a --recipe that has one.")
    return max(1, int(config.optim.epochs * samples // config.data.batch_size))


def open_held_out(config: RunConfig, built: BuiltModel) -> list[HeldOut]:
    """What this run is evaluated on; `auto` is what belongs to its training data, if anything does.

    Raises:
        DataError: it is not there. Said before the run starts, not when it ends.
    """
    spec = find_held_out(config.data.spec) if config.evaluate.data == "auto" else config.evaluate.data
    if spec is not None:
        open_source(spec, config.data.model_copy(update={"samples": None}))
    sets = held_out_sets(spec, config.data, built.preprocess_eval(), built.tokenizer, config.evaluate.batch_size)
    if config.evaluate.suite is not None:
        root, size = Path(config.evaluate.data_root), config.evaluate.batch_size
        sets.append(open_suite(config.evaluate.suite, root, built.preprocess_eval(), size))
    return sets


@contextmanager
def _joined(world: World, device: torch.device) -> Iterator[None]:
    join(world, device)
    try:
        yield
    finally:
        leave()


def _last_checkpoint(request: Request, checkpoints: CheckpointFolder) -> Path | None:
    if not request.resume:
        return None
    last = checkpoints.last()
    if last is None:
        raise RunError(f"{request.path} has no complete checkpoint to resume from; start again in another --out.")
    return last


def _open_folder(folder: RunFolder, request: Request, done: Progress) -> None:
    if request.resume:
        folder.describe(request.config)
        folder.forget_rows_after(done.step)
    else:
        folder.create(request.config)


def _batches(stream: Stream, config: RunConfig, world: World, done: Progress) -> Iterator[Batch]:
    return stream.batches(
        batch_size=config.data.batch_size // world.size,
        rank=world.rank,
        world=world.size,
        start=done.positions,
        batches_done=done.step,
    )


def _introduction(
    request: Request, stream: Stream, engine_name: str, engine: Engine, done: Progress, total: int
) -> str:
    config = request.config
    masker = config.masker
    shown = "every patch" if masker.ratio.high == 0 else f"{masker.name}, {masker.ratio} of the patches hidden"
    start = f"goes on from step {done.step} of {total}" if request.resume else f"{total} steps"
    return (
        f"{config.recipe or 'run'}: {config.model.name} on {stream.description}; {shown}; {start} of "
        f"{config.data.batch_size} pairs; {engine_name} engine on {engine.device.type}; run folder {request.path}"
    )
