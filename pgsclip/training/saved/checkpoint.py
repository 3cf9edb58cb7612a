"""Checkpoints appear whole or not at all: written under a temporary name, flushed, renamed.

One form for every engine, ZeRO stage and number of processes, and nothing in it is a pickle: weights and Adam's memory
as safetensors, the rest as JSON. So a run of two processes goes on with one or four, and a file from elsewhere can do
no more than not load. Lengths and checksums are written beside them; one that lost a byte since is set aside, and the
run goes on from the one before.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.data.batch import Position
from pgsclip.distributed import World, barrier, broadcast_object, is_true_on_any_rank
from pgsclip.errors import RunError
from pgsclip.models.checksums import verify, write_checksums
from pgsclip.models.plugin_states import States, read_states, write_states
from pgsclip.models.run_weights import (
    DAMAGED,
    OPEN_CLIP_CONFIG,
    WEIGHTS,
    Newest,
    checkpoint_name,
    find_newest,
    half_written,
    list_checkpoints,
    list_half_written,
    list_set_aside,
    step_of,
)
from pgsclip.models.weights import save_state_dict, write_tensors
from pgsclip.training.saved.optimizer_state import MOMENTS, OptimizerState
from pgsclip.training.saved.rank_state import RankState

_MOMENTS = "optimizer.safetensors"
_STATE = "state.json"


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint, read: all but the weights, which the model reads itself."""

    path: Path
    ranks: tuple[RankState, ...]
    """One for each rank that wrote it."""
    optimizer: OptimizerState

    @property
    def step(self) -> int:
        return self.ranks[0].step

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

    newest: Newest
    refusal: str = ""
    """Why the damaged ones could not be set aside."""

    @property
    def path(self) -> Path | None:
        return self.newest.folder

    @property
    def finding(self) -> str | None:
        """A sentence about the damaged ones, None when there are none."""
        if self.path is None or not self.newest.passed_over:
            return None
        again = (step_of(next(iter(self.newest.passed_over))) or 0) - (step_of(self.path) or 0)
        return (
            f"Damaged, and set aside as ...{DAMAGED}: {self.newest.name_passed_over()}. The run goes on from "
            f"{self.path.name}, which is whole, and does {again} step{'s' if again != 1 else ''} again."
        )

    def or_error(self, folder: Path) -> Choice:
        """This choice, unless there is no whole checkpoint among several."""
        if self.refusal:
            raise RunError(f"A damaged checkpoint cannot be set aside ({self.refusal}); move it away, then --resume.")
        if self.path is None and self.newest.passed_over:
            raise RunError(
                f"No checkpoint in {folder} is whole: {self.newest.name_passed_over()}. Put back a copy, or start "
                f"again in another --out. If one of the weight files is intact, start from it with "
                f"--set model.pretrained=FILE."
            )
        return self


@runtime_checkable
class Savable(Protocol):
    """What a checkpoint needs of an engine. All methods are called by all ranks alike."""

    task: Any
    """With the `description` that open_clip builds the model from."""

    def weights(self) -> dict[str, Tensor]: ...

    def optimizer_state(self) -> OptimizerState: ...

    def states(self) -> States: ...


class _Whole(NamedTuple):
    """A training, gathered from all ranks; only the leading one needs to have it."""

    weights: dict[str, Tensor]
    optimizer: OptimizerState
    plugins: States
    description: dict[str, Any]


class CheckpointFolder:
    """`checkpoints/step-00000100/`: weights that open_clip reads, Adam's memory, and where every rank stood."""

    def __init__(self, path: Path, world: World, keep: int) -> None:
        self.path = path
        self._world = world
        self._keep = keep

    def save(self, engine: Savable, state: RankState) -> Path:
        """Write one checkpoint on all ranks, then drop those beyond `keep`.

        Raises:
            RunError: on all ranks, when one of them cannot write; what was written before stays.
        """
        final = self.path / checkpoint_name(state.step)
        temporary = half_written(final)
        self._together(temporary, lambda: _make_empty(temporary) if self._world.leads else None)
        whole = _Whole(engine.weights(), engine.optimizer_state(), engine.states(), engine.task.description)
        self._together(temporary, lambda: self._write(temporary, whole, state))
        self._together(temporary, lambda: self._publish(temporary, final) if self._world.leads else None)
        return final

    def last(self) -> Path | None:
        """The newest complete checkpoint by the lengths of its files, or None."""
        return find_newest(self.path, thorough=False).folder

    def choose(self) -> Choice:
        """What to go on from: the newest checkpoint whose bytes are all as they were written. Called by all ranks.

        Newer ones that are damaged are renamed to `….damaged`, so that nothing takes them for good ever after.

        Raises:
            RunError: on all ranks, when there are checkpoints and all of them are damaged.
        """
        return broadcast_object(self._choose() if self._world.leads else Choice(Newest(None))).or_error(self.path)

    def _choose(self) -> Choice:
        newest = find_newest(self.path, thorough=True)
        if newest.folder is not None:  # with none whole, all stay as they are for a person to look at
            try:
                for folder in newest.passed_over:
                    aside = folder.with_name(f"{folder.name}{DAMAGED}")
                    shutil.rmtree(aside, ignore_errors=True)
                    folder.rename(aside)
            except OSError as error:
                return Choice(newest, f"{error.strerror}: {error.filename}")
        return Choice(newest)

    def last_or_error(self) -> Path:
        """The newest complete checkpoint.

        Raises:
            RunError: there is none.
        """
        last = self.last()
        if last is None:
            raise RunError(f"There is no complete checkpoint in {self.path}.")
        return last

    def _write(self, folder: Path, whole: _Whole, state: RankState) -> None:
        _write_json(folder / _rank_file(self._world.rank), asdict(state))
        if not self._world.leads:
            return
        save_state_dict(whole.weights, folder / WEIGHTS)
        _write_json(folder / OPEN_CLIP_CONFIG, whole.description)
        write_states(folder, whole.plugins)
        optimizer = whole.optimizer
        moments = {f"{key}/{name}": one for key in MOMENTS for name, one in optimizer.moments.get(key, {}).items()}
        write_tensors({name: one.contiguous() for name, one in moments.items()}, folder / _MOMENTS)
        counters = {"world": self._world.size, "adam_steps": optimizer.steps, "scaler": optimizer.scaler}
        _write_json(folder / _STATE, counters)

    def _publish(self, temporary: Path, final: Path) -> None:
        write_checksums(temporary)
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
        folders = list_checkpoints(self.path)
        until = folders[: folders.index(newest) + 1]
        whole = [folder for folder in until if verify(folder, thorough=False) is None]
        old = set(until) - {newest, *whole[-self._keep :]}
        aside = list_set_aside(self.path)[:-1]
        for folder in [*old, *aside, *list_half_written(self.path)]:
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


def read_checkpoint(folder: Path) -> StoredCheckpoint:
    """Everything of a checkpoint but the weights, which the model reads.

    Raises:
        RunError: a file is missing, damaged, or holds something else than it should.
    """
    try:
        counters = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        ranks = [_read_rank_state(folder / _rank_file(rank)) for rank in range(counters["world"])]
        moments: dict[str, dict[str, Tensor]] = {key: {} for key in MOMENTS}
        for name, tensor in load_file(folder / _MOMENTS).items():
            key, _, parameter = name.partition("/")
            moments[key][parameter] = tensor
        optimizer = OptimizerState(moments, int(counters["adam_steps"]), counters["scaler"])
        return StoredCheckpoint(folder, tuple(ranks), optimizer)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise RunError(
            f"The checkpoint {folder} is damaged ({type(error).__name__}: {error}). Delete that folder to resume from "
            f"the one before it, or start again in another --out."
        ) from None


def _read_rank_state(path: Path) -> RankState:
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["positions"] = tuple(Position(*position) for position in stored["positions"])
    return RankState(**stored)


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
