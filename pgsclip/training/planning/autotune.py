"""`auto` in a config becomes a number, by measurement, before a run begins; no other part of a run sees the word."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import NamedTuple

import torch
from rich.console import Console

from pgsclip.config.phases import plan_phases
from pgsclip.config.schema import RunConfig
from pgsclip.data.source import PairSource
from pgsclip.data.spec import open_source
from pgsclip.distributed import World
from pgsclip.errors import ConfigError, UnfinishedError
from pgsclip.training.assemble import check_device
from pgsclip.training.engines.base import device_kind
from pgsclip.training.planning.largest_batch import Largest, Trial, largest_that_fits
from pgsclip.training.planning.memory import DoesNotFitError, may_take_bytes
from pgsclip.training.planning.trial_process import probe_apart
from pgsclip.training.request import Request
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.stop import StopRequest

_UNIT = 8
"""A batch is a multiple of this, in each part of an accumulated step."""
_HEADROOM = 1.25
"""Loader processes are to be this much faster than the steps, as both have slower moments."""


class Settled(NamedTuple):
    """A config without `auto`, and a sentence for each number that was found."""

    config: RunConfig
    findings: tuple[str, ...] = ()


def wants_settling(config: RunConfig) -> bool:
    """Whether a number is to be found by measurement."""
    return "auto" in (config.data.batch_size, config.data.workers)


def settle(
    config: RunConfig,
    world: World,
    tell: Callable[[str], None] = lambda _: None,
    alive: Callable[[], None] = lambda: None,
) -> Settled:
    """Find the numbers that are `auto`, the batch first, as the loaders depend on it.

    Args:
        tell: told what is being measured.
        alive: called while it measures; what it raises ends that.

    Raises:
        ConfigError: nothing fits, or there are several processes. TrainingError: the steps cannot be made.
    """
    if not wants_settling(config):
        return Settled(config)
    if world.size > 1:
        raise ConfigError(
            f"What is auto in data.batch_size and data.workers is measured by one process, and these are {world.size}. "
            f"Let `pgsclip train ... --dry-run` measure on one device alone, and give the numbers here; the batch is "
            f"that of all processes together, so {world.size} times what it finds."
        )
    source = open_source(config.data.spec, config.data)
    findings = []
    if config.data.batch_size == "auto":
        size, finding = _batch_size(config, source, tell, alive)
        config = _with(config, batch_size=size)
        findings.append(finding)
    if config.data.workers == "auto":
        tell("measuring steps and a loader")
        workers, finding = _workers(config, source, alive)
        config = _with(config, workers=workers)
        findings.append(finding)
    return Settled(config, tuple(findings))


def settled_request(
    request: Request, world: World, console: Console, stop: StopRequest
) -> tuple[Request, tuple[str, ...]]:
    """The request of a run with numbers for what is `auto`, and how they were found; nothing is measured in vain.

    Raises:
        RunError: its folder is taken. UnfinishedError: asked to stop meanwhile.
    """
    if not wants_settling(request.config):
        return request, ()
    if not request.resume:
        RunFolder(request.path).refuse_taken()

    def alive() -> None:
        if stop.reason is not None:
            raise UnfinishedError(f"Stopped by {stop.reason} while it was measured what auto is; no run has begun.")

    with console.status("measuring") as status:

        def tell(what: str) -> None:
            status.update(what)
            if not console.is_terminal:
                console.print(what)

        settled = settle(request.config, world, tell, alive)
    return request._replace(config=settled.config), settled.findings


def _batch_size(
    config: RunConfig, source: PairSource, tell: Callable[[str], None], alive: Callable[[], None]
) -> tuple[int, str]:
    check_device(config.engine.device, World())
    device = torch.device(device_kind(config.engine.device))
    if device.type == "mps":
        raise ConfigError("data.batch_size=auto is found on cuda and cpu, and this is mps; give a number.")
    if config.data.workers == "auto":
        config = _with(config, workers=None)
    limit = may_take_bytes(device)
    share = config.optim.accumulation_steps
    unit = min(_UNIT, max(1, source.size // share)) * share

    def trial(size: int) -> Trial | None:
        tell(f"measuring the memory of {size:,} pairs")
        tried = _with(config, batch_size=size)
        try:
            phases = [probe_apart(tried, number, only_memory=True, alive=alive) for number in _unlike(tried, source)]
        except DoesNotFitError:
            return None
        most = max(phases, key=lambda phase: phase.taken)
        return Trial(most.resting, most.taken)

    most = max(unit, source.size // share * share)
    found = largest_that_fits(trial, limit=limit, unit=unit, most=most)
    if found.size is None:
        raise ConfigError(
            f"Not even {unit} pairs fit into the {_gib(limit)} that a run may take on {device.type}: {_trials(found)}. "
            f"Take a smaller model or image, more than {config.masker.ratio} of the patches removed, a larger "
            f"optim.accumulation_steps, or model.checkpoint_activations=true."
        )
    parts = ", with its loader processes" if device.type == "cpu" else ""
    why = "all pairs of an epoch" if found.size == most else "the largest batch that fits"
    return found.size, (
        f"data.batch_size=auto is {found.size:,}, {why}: a run may take {_gib(limit)} on {device.type}{parts}, and "
        f"steps took {_trials(found)}, each in a process of its own."
    )


def _unlike(config: RunConfig, source: PairSource) -> list[int]:
    """Numbers of phases whose steps differ in what they hold in memory."""
    found: dict[str, int] = {}
    for phase in plan_phases(config, source.size):
        found.setdefault(f"{phase.config.masker!r} {phase.config.model!r}", phase.number)
    return list(found.values())


def _trials(found: Largest) -> str:
    return ", ".join(
        f"{'more than there is' if trial is None else _gib(trial.peak)} with {size:,} pairs"
        for size, trial in found.tried.items()
    )


def _workers(config: RunConfig, source: PairSource, alive: Callable[[], None]) -> tuple[int, str]:
    config = _with(config, workers=None)
    found = probe_apart(config, 0, alive=alive)
    needed = math.ceil(_HEADROOM * found.reader_seconds / found.seconds)
    shards = source.size if source.shards is None else source.shards
    cores = os.cpu_count() or 1
    workers = max(1, min(needed, cores, shards))
    short = ""
    if workers < needed:
        bound = "cores" if workers == cores else "shards"
        short = f"; {needed} would be needed, and there are {workers} {bound}, so the data will set the pace"
    return workers, (
        f"data.workers=auto is {workers}: one loader process makes the {found.pairs:,} pairs of a step in "
        f"{found.reader_seconds:.2g} s and a step takes {found.seconds:.2g} s, measured on {found.steps} steps after "
        f"{found.warm} to warm up{short}."
    )


def _with(config: RunConfig, **data: int | None) -> RunConfig:
    return config.model_copy(update={"data": config.data.model_copy(update=data)})


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
