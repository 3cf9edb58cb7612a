"""Checkpoints appear whole or not at all: written under a temporary name, flushed, renamed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pgsclip.data.batch import Position
from pgsclip.errors import RunError
from pgsclip.models.weights import save_state_dict
from pgsclip.training.distributed import World, barrier
from pgsclip.training.engines.base import Engine

WEIGHTS = "open_clip_model.safetensors"
_PREFIX = "step-"


@dataclass(frozen=True)
class Progress:
    """Where a run stands: how many steps are done, and where each loader worker of this rank is."""

    step: int
    samples: int
    epoch: float
    positions: tuple[Position, ...] = ()


class CheckpointFolder:
    """`checkpoints/step-00000100/`: engine state, one data position per rank, and weights that open_clip reads."""

    def __init__(self, path: Path, world: World, keep: int) -> None:
        self.path = path
        self._world = world
        self._keep = keep

    def save(self, engine: Engine, progress: Progress) -> Path:
        """Write one checkpoint on all ranks, then drop those beyond `keep`."""
        final = self.path / f"{_PREFIX}{progress.step:08d}"
        temporary = self.path / f".{final.name}.tmp"
        if self._world.leads:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        barrier()
        engine.save(temporary)
        weights = engine.weights()
        _write_progress(temporary / f"progress-rank{self._world.rank:05d}.json", progress, self._world.size)
        if self._world.leads:
            save_state_dict(weights, temporary / WEIGHTS)
        barrier()
        if self._world.leads:
            _flush(temporary)
            if final.exists():  # a resumed run may come by the same step again
                shutil.rmtree(final)
            temporary.rename(final)
            _flush_folder(self.path)
            self._drop_old()
        barrier()
        return final

    def last(self) -> Path | None:
        """The newest complete checkpoint, or None."""
        found = self._complete()
        return found[-1] if found else None

    def load(self, engine: Engine, folder: Path) -> Progress:
        """Restore the engine and return where the run stood.

        Raises:
            RunError: when the checkpoint was written by another number of processes, or is damaged.
        """
        written_by = len(list(folder.glob("progress-rank*.json")))
        if written_by not in (0, self._world.size):
            raise RunError(
                f"The checkpoint {folder} was written by {written_by} processes and this run has "
                f"{self._world.size}; resume with {written_by}."
            )
        progress = _read_progress(folder / f"progress-rank{self._world.rank:05d}.json")
        engine.load(folder)
        return progress

    def _complete(self) -> list[Path]:
        return sorted(self.path.glob(f"{_PREFIX}*"))

    def _drop_old(self) -> None:
        for folder in self._complete()[: -self._keep]:
            shutil.rmtree(folder, ignore_errors=True)


def _read_progress(path: Path) -> Progress:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        positions = tuple(Position(*position) for position in stored["positions"])
        return Progress(stored["step"], stored["samples"], stored["epoch"], positions)
    except (OSError, ValueError, TypeError, KeyError):
        raise RunError(
            f"{path} is missing or damaged. Delete {path.parent} to resume from the checkpoint before it, or start "
            f"again in another --out."
        ) from None


def _write_progress(path: Path, progress: Progress, world_size: int) -> None:
    content = {
        "step": progress.step,
        "samples": progress.samples,
        "epoch": progress.epoch,
        "world": world_size,
        "positions": [list(position) for position in progress.positions],
    }
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _flush(folder: Path) -> None:
    """Push every file to the disk before the rename makes the folder count."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
