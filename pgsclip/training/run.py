"""One run from its config to its last checkpoint: build every part, train phase after phase, tell what came out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pgsclip.config.phases import Phase, plan_phases
from pgsclip.data.spec import open_source
from pgsclip.distributed import broadcast_object, fail_together
from pgsclip.errors import RunError
from pgsclip.launchers import read_world
from pgsclip.loggers.registry import check_loggers
from pgsclip.process_group import explain_lost_peers, joined
from pgsclip.training.assemble import open_device
from pgsclip.training.display import Display, change_since
from pgsclip.training.mask_pictures import check_mask_images
from pgsclip.training.phase_trainer import PhaseTrainer
from pgsclip.training.planning.autotune import settled_request
from pgsclip.training.planning.memory import enough_memory
from pgsclip.training.request import Request
from pgsclip.training.run_log import RunLog
from pgsclip.training.saved.checkpoint import CheckpointFolder, StoredCheckpoint, read_checkpoint
from pgsclip.training.saved.resume import read_newest
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.saved.run_lock import locked_run
from pgsclip.training.stop import StopRequest


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
        lock = around.enter_context(locked_run(request.path, world.leads))
        around.enter_context(explain_lost_peers("go on from the last checkpoint with --resume"))
        around.enter_context(enough_memory(config.data.pairs_per_step))
        request = broadcast_object(request)  # another machine may see later than the leader what is in the folder
        config = request.config
        folder = RunFolder(request.path)
        if request.resume:
            fail_together(lock.take)
        checkpoints = CheckpointFolder(folder.checkpoints, world, config.checkpoint.keep)
        stored, finding = read_newest(request, checkpoints)
        source = open_source(config.data.spec, config.data)
        phases = plan_phases(config, source.size)
        _refuse_shorter(request, phases, stored)
        display = around.enter_context(Display(phases[-1].end, console=console, silent=not world.leads))
        log = RunLog(folder, world, display, makers)
        around.callback(log.close)
        for sentence in (*request.findings, *findings, finding, change_since(request, stored)):
            if sentence:
                log.say(sentence)
        trainer = PhaseTrainer(request, phases, source, device, log, lock, checkpoints, stop)
        for phase in phases:
            if stored is None or phase is phases[-1] or trainer.has_work(phase, stored):
                results = trainer.train(phase, stored)
                stored = read_checkpoint(checkpoints.last_or_error())
    return Outcome(request.path, checkpoints.last_or_error(), phases[-1].end, results, world.leads)


def _refuse_shorter(request: Request, phases: list[Phase], stored: StoredCheckpoint | None) -> None:
    if stored is not None and stored.step > phases[-1].end:
        raise RunError(
            f"The run in {request.path} has done {stored.step} steps and now is to have {phases[-1].end}; give more "
            f"--steps or --epochs, or leave both out."
        )
