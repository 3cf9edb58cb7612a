from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.data.batch import Position
from pgsclip.errors import RunError
from pgsclip.training import checkpoint
from pgsclip.training.checkpoint import WEIGHTS, CheckpointFolder, Progress
from pgsclip.training.distributed import World

STANDS = Progress(7, 56, 0.5, (Position(0, 1, 30), Position(1, 0, 26)))


class OneNumber:
    """An engine whose whole state is one number."""

    task: Any = None
    device = torch.device("cpu")

    def __init__(self, number: float) -> None:
        self.number = number
        self.fails = False

    def forward(self, *_: Any) -> Any: ...
    def backward(self, loss: Tensor) -> None: ...
    def step(self, lr: float) -> None: ...
    def features(self, images: Any, texts: Any) -> Any: ...

    def weights(self) -> dict[str, Tensor]:
        return {"number": torch.tensor([self.number])}

    def save(self, folder: Path) -> None:
        (folder / "part").mkdir()
        (folder / "part" / "state").write_text(str(self.number))
        if self.fails:
            raise OSError("no space left")

    def load(self, folder: Path) -> None:
        self.number = float((folder / "part" / "state").read_text())


def folder_of(path: Path, keep: int = 3, world: World | None = None) -> CheckpointFolder:
    return CheckpointFolder(path / "checkpoints", world or World(), keep)


def names(folder: CheckpointFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert folder.last() is None
    saved = folder.save(OneNumber(3.5), STANDS)
    assert saved == folder.last() == folder.path / "step-00000007"
    fresh = OneNumber(0.0)
    assert folder.load(fresh, saved) == STANDS
    assert fresh.number == 3.5
    assert load_file(saved / WEIGHTS)["number"].item() == 3.5


def test_the_newest_stay_and_the_last_is_the_newest(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, keep=2)
    for step in (9, 10, 100):
        folder.save(OneNumber(step), Progress(step, 0, 0.0))
    assert names(folder) == ["step-00000010", "step-00000100"]
    last = folder.last()
    assert last is not None
    assert folder.load(OneNumber(0), last).step == 100


def test_a_save_that_fails_leaves_the_older_ones_and_no_half_one_that_counts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    good = folder.save(OneNumber(1), Progress(1, 0, 0.0))
    broken = OneNumber(2)
    broken.fails = True
    with pytest.raises(OSError, match="no space left"):
        folder.save(broken, Progress(2, 0, 0.0))
    assert folder.last() == good
    broken.fails = False
    assert folder.save(broken, Progress(2, 0, 0.0)) == folder.last()
    assert names(folder) == ["step-00000001", "step-00000002"]


def test_a_checkpoint_counts_only_when_everything_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    flushed: list[str] = []
    counted: list[Path | None] = []
    real_open, real_fsync = Path.open, os.fsync
    handles: dict[int, str] = {}

    def open_and_note(path: Path, *options: Any, **named: Any) -> Any:
        file = real_open(path, *options, **named)
        handles[file.fileno()] = path.name
        return file

    def note(handle: int) -> None:
        flushed.append(handles.get(handle, "?"))
        counted.append(folder.last())
        real_fsync(handle)

    monkeypatch.setattr(Path, "open", open_and_note)
    monkeypatch.setattr(checkpoint.os, "fsync", note)
    saved = folder.save(OneNumber(1), Progress(1, 0, 0.0))
    assert {"state", "progress-rank00000.json", WEIGHTS} <= set(flushed)
    assert counted[:-1] == [None] * (len(counted) - 1)
    assert counted[-1] == saved  # the folder itself, after the rename


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.save(OneNumber(1), Progress(1, 0, 0.0))
    saved = folder.save(OneNumber(2), Progress(1, 8, 0.0))
    engine = OneNumber(0)
    assert folder.load(engine, saved).samples == 8
    assert engine.number == 2
    assert names(folder) == ["step-00000001"]


def test_rubbish_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    half = folder.path / ".step-00000001.tmp" / "part"
    half.mkdir(parents=True)
    (half / "old").touch()
    saved = folder.save(OneNumber(1), Progress(1, 0, 0.0))
    assert names(folder) == ["step-00000001"]
    assert not (saved / "part" / "old").exists()


def test_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    saved = folder_of(tmp_path).save(OneNumber(1), STANDS)
    for world in (World(0, 2, 0), World(1, 2, 1)):
        with pytest.raises(RunError, match=r"was written by 1 processes and this run has 2; resume with 1\."):
            folder_of(tmp_path, world=world).load(OneNumber(0), saved)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"world": 1}', '{"world": 1, "step": 1, "positions": [[1]]}'])
def test_a_damaged_position_is_a_sentence(content: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    saved = folder.save(OneNumber(1), STANDS)
    (saved / "progress-rank00000.json").write_text(content)
    with pytest.raises(RunError, match=r"progress-rank00000.json is missing or damaged.*Delete .* to resume"):
        folder.load(OneNumber(0), saved)


def test_a_missing_position_is_a_sentence(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    saved = folder.save(OneNumber(1), STANDS)
    (saved / "progress-rank00000.json").unlink()
    with pytest.raises(RunError, match=r"progress-rank00000.json is missing or damaged"):
        folder.load(OneNumber(0), saved)


def test_only_the_leader_makes_and_renames(tmp_path: Path) -> None:
    """The second of two processes writes its own position into the folder that the first has made."""
    leader, second = folder_of(tmp_path), folder_of(tmp_path, world=World(1, 2, 1))
    temporary = leader.path / ".step-00000007.tmp"
    temporary.mkdir(parents=True)
    second.save(OneNumber(1), STANDS)
    assert names(leader) == [temporary.name]
    assert sorted(path.name for path in temporary.iterdir()) == ["part", "progress-rank00001.json"]
    stored = json.loads((temporary / "progress-rank00001.json").read_text())
    assert stored["world"] == 2
    assert stored["positions"] == [[0, 1, 30], [1, 0, 26]]
    shutil.rmtree(temporary)
