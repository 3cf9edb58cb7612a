"""Which checkpoint of a run counts: the newest whole one. Everything that takes a run for its weights asks here.

A checkpoint is a folder of the name `step-00000100`. It appears under that name only when all of it is on the disk, so
`.step-00000100.tmp` is half-written. `step-00000100.damaged` was set aside by a run that went on from an older one. A
folder of any other name, such as a copy, is none of ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pgsclip.errors import ModelError
from pgsclip.models.checksums import verify
from pgsclip.models.plugin_states import FILE as PLUGIN_STATES

WEIGHTS = "open_clip_model.safetensors"
OPEN_CLIP_CONFIG = "open_clip_config.json"
"""Of the model, as open_clip reads it beside the weights; checkpoints of earlier versions have none."""
CHECKPOINTS = "checkpoints"
"""The folder of checkpoints in a run's folder."""
DAMAGED = ".damaged"
"""How the name of a checkpoint ends that was set aside."""
_PREFIX = "step-"
_NAME = re.compile(rf"{_PREFIX}(\d{{8,}})")


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint that is whole, and newer ones that are not."""

    folder: Path | None
    passed_over: dict[Path, str] = field(default_factory=dict)
    """Newer ones, newest first, each with what is wrong with it."""

    def name_passed_over(self) -> str:
        """`step-00000200 (state.json is missing); step-00000100 (...)`."""
        return "; ".join(f"{folder.name} ({wrong})" for folder, wrong in self.passed_over.items())


def checkpoint_name(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"{_PREFIX}{step:08d}"


def step_of(folder: Path) -> int | None:
    """The step that a checkpoint was written after, set aside or not; None for any other folder."""
    match = _NAME.fullmatch(folder.name.removesuffix(DAMAGED))
    return int(match[1]) if match else None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first, whole or not; none that were set aside or are half-written."""
    found = {path: match for path in folder.glob(f"{_PREFIX}*") if (match := _NAME.fullmatch(path.name))}
    return sorted(found, key=lambda path: int(found[path][1]))


def list_set_aside(folder: Path) -> list[Path]:
    """The checkpoints in a folder that were set aside as damaged, oldest first."""
    found = [path for path in folder.glob(f"{_PREFIX}*{DAMAGED}") if step_of(path) is not None]
    return sorted(found, key=lambda path: step_of(path) or 0)


def half_written(checkpoint: Path) -> Path:
    """The name that a checkpoint has until all of it is on the disk."""
    return checkpoint.with_name(f".{checkpoint.name}.tmp")


def list_half_written(folder: Path) -> list[Path]:
    """What saves left that were killed."""
    return list(folder.glob(f".{_PREFIX}*.tmp"))


def find_newest(folder: Path, *, thorough: bool, only: Collection[str] | None = None) -> Newest:
    """Find the newest whole checkpoint in a folder.

    Args:
        thorough: compare every byte, as everyone must who is about to use them; otherwise the lengths alone.
        only: files that must be whole; all of them when not given.
    """
    passed_over: dict[Path, str] = {}
    for path in reversed(list_checkpoints(folder)):
        wrong = verify(path, thorough=thorough, only=only)
        if wrong is None:
            return Newest(path, passed_over)
        passed_over[path] = wrong
    return Newest(None, passed_over)


def find_run_weights(run: Path) -> tuple[Path, str | None]:
    """Find the newest weights of a run that are as they were written, byte for byte.

    Other files of the checkpoint are not asked for: whoever wants the weights can do without Adam's moments, which a
    copy to another machine may have left out.

    Returns:
        The weights file, and a sentence about newer checkpoints that were passed over, None when there are none.

    Raises:
        ModelError: the run has no checkpoint, or none of them has whole weights.
    """
    newest = find_newest(run / CHECKPOINTS, thorough=True, only=(WEIGHTS, OPEN_CLIP_CONFIG, PLUGIN_STATES))
    if newest.folder is not None:
        finding = (
            f"Passed over as damaged: {newest.name_passed_over()}. The weights are those of {newest.folder.name}, the "
            f"newest whole checkpoint of {run}."
        )
        return newest.folder / WEIGHTS, finding if newest.passed_over else None
    aside = [path.name for path in list_set_aside(run / CHECKPOINTS)]
    if not newest.passed_over and not aside:
        raise ModelError(f"The run {run} has no checkpoint yet; train it first, or name another one.")
    damaged = "; ".join(filter(None, [newest.name_passed_over(), ", ".join(aside)]))
    raise ModelError(
        f"No checkpoint of the run {run} has whole weights: {damaged}. Put back a copy, or name another run or "
        f"one of its checkpoint folders."
    )


def run_of(weights: Path) -> Path | None:
    """The run whose checkpoint a weights file is part of."""
    folder = weights.absolute().parent
    run = folder.parent.parent
    inside = folder.parent.name == CHECKPOINTS and step_of(folder) is not None
    return run if inside and (run / "config.yaml").is_file() else None


def describe_named(weights: Path) -> str | None:
    """A sentence about a weights file of a run that the user named, where there is something to know before using it.

    Whether its bytes are as they were written is found out when it is loaded.
    """
    folder = weights.parent
    if folder.parent.name != CHECKPOINTS or step_of(folder) is None:
        return None
    if folder.name.endswith(DAMAGED):
        return f"{folder} was set aside as damaged when its run went on; only its weights are taken."
    wrong = verify(folder, thorough=False, only=())
    return wrong and f"In {folder}, {wrong}, so nothing tells whether the weights there are as they were written."
