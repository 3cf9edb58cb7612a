"""Checkpoints appear whole or not at all: written under a temporary name, flushed, renamed.

One form for every engine, ZeRO stage and number of processes, and nothing in it is a pickle: weights and Adam's memory
as safetensors, the rest as JSON. So a run of two processes goes on with one or four, and a file from elsewhere can do
no more than not load. Lengths and checksums are written beside them; one that lost a byte since is set aside, and the
run goes on from the one before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsclip.data.batch import Position
from pgsclip.distributed import World, barrier, broadcast_object, is_true_on_any_rank
from pgsclip.errors import RunError
from pgsclip.models.checksums import flaw, seal
from pgsclip.models.plugin_states import States, read_states, write_states
from pgsclip.models.weights import save_state_dict
from pgsclip.training.engines.base import MOMENTS, Engine, OptimizerState

WEIGHTS = "open_clip_model.safetensors"
_MOMENTS = "optimizer.safetensors"
_STATE = "state.json"
_PREFIX = "step-"
_DAMAGED = ".damaged"
_NAME = re.compile(rf"{_PREFIX}\d{{8,}}")


@dataclass(frozen=True)
class Progress:
    """Where a run stands, as seen by one rank."""

    step: int = 0
    samples: int = 0
    epoch: float = 0.0
    streams: int = 1
    """Loader workers of this rank."""
    batches: int = 0
    """Taken from the loader since its workers were laid out as they are: whose turn it is."""
    positions: tuple[Position, ...] = ()
    """Of each loader worker of this rank."""
    faults: dict[str, Any] = field(default_factory=dict)
    """What could not be read so far, as the ledger of this rank has it."""

    def positions_of_all_streams(self) -> list[Position]:
        """Also of workers that have not given a batch yet."""
        known = {position.worker: position for position in self.positions}
        return [known.get(worker, Position(worker, 0, 0)) for worker in range(self.streams)]


@dataclass(frozen=True)
class Stored:
    """A checkpoint, read."""

    path: Path
    ranks: tuple[Progress, ...]
    optimizer: OptimizerState

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def states(self) -> States:
        """What plugins keep beside the weights."""
        return read_states(self.path)


@dataclass(frozen=True)
class Choice:
    """The checkpoint that a run goes on from, and what was passed over."""

    path: Path | None
    damaged: dict[Path, str] = field(default_factory=dict)
    """Newer ones, newest first, and what is wrong with each."""
    refusal: str = ""
    """Why they could not be set aside."""

    @property
    def finding(self) -> str | None:
        """A sentence about the damaged ones, None when there are none."""
        if self.path is None or not self.damaged:
            return None
        again = _step(next(iter(self.damaged))) - _step(self.path)
        return (
            f"Damaged, and set aside as ...{_DAMAGED}: {self._named()}. The run goes on from {self.path.name}, which "
            f"is whole, and does {again} step{'s' if again != 1 else ''} again."
        )

    def or_error(self, folder: Path) -> Choice:
        """This choice, unless there is no whole checkpoint among several."""
        if self.refusal:
            raise RunError(f"A damaged checkpoint cannot be set aside ({self.refusal}); move it away, then --resume.")
        if self.path is None and self.damaged:
            raise RunError(
                f"No checkpoint in {folder} is whole: {self._named()}. Put back a copy, or start again in another "
                f"--out; where {WEIGHTS} of one is whole, with --set model.pretrained=FILE."
            )
        return self

    def _named(self) -> str:
        return "; ".join(f"{folder.name} ({wrong})" for folder, wrong in self.damaged.items())


class CheckpointFolder:
    """`checkpoints/step-00000100/`: weights that open_clip reads, Adam's memory, and where every rank stood."""

    def __init__(self, path: Path, world: World, keep: int) -> None:
        self.path = path
        self._world = world
        self._keep = keep

    def save(self, engine: Engine, progress: Progress) -> Path:
        """Write one checkpoint on all ranks, then drop those beyond `keep`.

        Raises:
            RunError: on all ranks, when one of them cannot write; what was written before stays.
        """
        final = self.path / f"{_PREFIX}{progress.step:08d}"
        temporary = self.path / f".{final.name}.tmp"
        self._together(temporary, lambda: _make_empty(temporary) if self._world.leads else None)
        weights, optimizer, states = engine.weights(), engine.optimizer_state(), engine.states()
        self._together(temporary, lambda: self._write(temporary, weights, optimizer, states, progress))
        self._together(temporary, lambda: self._publish(temporary, final) if self._world.leads else None)
        return final

    def last(self) -> Path | None:
        """The newest complete checkpoint by the lengths of its files, or None."""
        return next((folder for folder in reversed(self._folders()) if _is_complete(folder)), None)

    def choose(self) -> Choice:
        """What to go on from: the newest checkpoint whose bytes are all as they were written. Called by all ranks.

        Newer ones that are damaged are renamed to `….damaged`, so that nothing takes them for good ever after.

        Raises:
            RunError: on all ranks, when there are checkpoints and all of them are damaged.
        """
        return broadcast_object(self._choose() if self._world.leads else Choice(None)).or_error(self.path)

    def _choose(self) -> Choice:
        damaged: dict[Path, str] = {}
        chosen = None
        for folder in reversed(self._folders()):
            wrong = flaw(folder, thorough=True)
            if wrong is None:
                chosen = folder
                break
            damaged[folder] = wrong
        if chosen is not None:
            try:
                for folder in damaged:
                    aside = folder.with_name(f"{folder.name}{_DAMAGED}")
                    shutil.rmtree(aside, ignore_errors=True)
                    folder.rename(aside)
            except OSError as error:
                return Choice(None, damaged, f"{error.strerror}: {error.filename}")
        return Choice(chosen, damaged)

    def last_or_error(self) -> Path:
        """The newest complete checkpoint.

        Raises:
            RunError: there is none.
        """
        last = self.last()
        if last is None:
            raise RunError(f"There is no complete checkpoint in {self.path}.")
        return last

    def _write(
        self, folder: Path, weights: dict[str, Tensor], optimizer: OptimizerState, states: States, progress: Progress
    ) -> None:
        _write_json(folder / _rank_file(self._world.rank), asdict(progress))
        if self._world.leads:
            save_state_dict(weights, folder / WEIGHTS)
            write_states(folder, states)
            moments = {f"{key}/{name}": one for key in MOMENTS for name, one in optimizer.moments.get(key, {}).items()}
            save_file({name: one.contiguous() for name, one in moments.items()}, folder / _MOMENTS)
            state = {"world": self._world.size, "adam_steps": optimizer.steps, "scaler": optimizer.scaler}
            _write_json(folder / _STATE, state)

    def _publish(self, temporary: Path, final: Path) -> None:
        seal(temporary)
        for file in sorted(temporary.iterdir()):
            _flush(file)
        _flush(temporary)
        if final.exists():  # a resumed run may come by the same step again
            shutil.rmtree(final)
        temporary.rename(final)
        _flush(self.path)
        self._sweep(final)

    def _sweep(self, newest: Path) -> None:
        """Drop whole checkpoints beyond `keep`, older ones that are not whole, and what a killed run left half-written.

        Only whole ones count, so a damaged folder can never push a good one out. Of those that were set aside the
        newest stays, for whoever wants to see what happened to it.
        """
        whole = [folder for folder in self._folders() if folder <= newest and _is_complete(folder)]
        kept = {newest, *whole[-self._keep :]}
        old = [folder for folder in self._folders() if folder < newest and folder not in kept]
        aside = sorted(self.path.glob(f"{_PREFIX}*{_DAMAGED}"))[:-1]
        for folder in [*old, *aside, *self.path.glob(f".{_PREFIX}*.tmp")]:
            shutil.rmtree(folder, ignore_errors=True)

    def _together(self, temporary: Path, act: Callable[[], None]) -> None:
        """Do one part on all ranks; if it fails on any of them, it has failed on all, and none waits for another."""
        reason = ""
        try:
            act()
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        if is_true_on_any_rank(bool(reason)):
            if self._world.leads:
                shutil.rmtree(temporary, ignore_errors=True)
            last = self.last()
            raise RunError(
                f"The checkpoint cannot be written to {self.path}: {reason or 'another process says why'}. "
                f"{f'The one before, {last}, is whole' if last else 'There is none before it'}; make room there, and "
                f"go on with --resume."
            )
        barrier()

    def _folders(self) -> list[Path]:
        """In the order of their steps; a copy that somebody named differently is none of ours."""
        return sorted(folder for folder in self.path.glob(f"{_PREFIX}*") if _NAME.fullmatch(folder.name))


def read_checkpoint(folder: Path) -> Stored:
    """Everything of a checkpoint but the weights, which the model reads.

    Raises:
        RunError: a file is missing, damaged, or holds something else than it should.
    """
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        ranks = [_read_progress(folder / _rank_file(rank)) for rank in range(state["world"])]
        moments: dict[str, dict[str, Tensor]] = {key: {} for key in MOMENTS}
        for name, tensor in load_file(folder / _MOMENTS).items():
            key, _, parameter = name.partition("/")
            moments[key][parameter] = tensor
        return Stored(folder, tuple(ranks), OptimizerState(moments, int(state["adam_steps"]), state["scaler"]))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise RunError(
            f"The checkpoint {folder} is damaged ({type(error).__name__}: {error}). Delete that folder to resume from "
            f"the one before it, or start again in another --out."
        ) from None


def _is_complete(folder: Path) -> bool:
    """Whether every file that was written is there in its full length."""
    return flaw(folder, thorough=False) is None


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix(_PREFIX))


def _read_progress(path: Path) -> Progress:
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["positions"] = tuple(Position(*position) for position in stored["positions"])
    return Progress(**stored)


def _rank_file(rank: int) -> str:
    return f"rank-{rank:05d}.json"


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _flush(path: Path) -> None:
    """Push a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
