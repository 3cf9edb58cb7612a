from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.data.batch import Position
from pgsclip.distributed import World
from pgsclip.errors import ModelError, RunError
from pgsclip.models.checksums import write_checksums
from pgsclip.models.plugin_states import States
from pgsclip.models.weights import load_weights
from pgsclip.training.saved import checkpoint
from pgsclip.training.saved.checkpoint import WEIGHTS, CheckpointFolder, read_checkpoint
from pgsclip.training.saved.optimizer_state import OptimizerState
from pgsclip.training.saved.rank_state import RankState

POSITIONS = (Position(0, 1, 30), Position(1, 0, 26))
STANDS = RankState(7, 56, 0.5, streams=3, batches=7, positions=POSITIONS, faults={"read": 60})
ALL_FILES = ["files.json", "open_clip_config.json", WEIGHTS, "optimizer.safetensors", "rank-00000.json", "state.json"]


class OneNumber:
    """An engine whose whole state is one number."""

    task: Any = SimpleNamespace(description={"model_cfg": {"embed_dim": 1}})
    device = torch.device("cpu")

    def __init__(self, number: float) -> None:
        self.number = number

    def forward(self, *_: Any) -> Any: ...
    def encode_no_grad(self, *_: Any) -> Any: ...
    def surrogate_loss(self, *_: Any) -> Any: ...
    def backward(self, loss: Tensor) -> None: ...
    def accumulating(self, *, last: bool) -> Any: ...
    def step(self, lr: float) -> Any: ...
    def encode(self, images: Any, texts: Any) -> Any: ...
    def restore(self, state: OptimizerState) -> None: ...
    def observe(self, progress: float) -> None: ...

    def states(self) -> States:
        return {}

    def weights(self) -> dict[str, Tensor]:
        return {"number": torch.tensor([self.number])}

    def optimizer_state(self) -> OptimizerState:
        moments = {"exp_avg": {"number": torch.tensor([2.0])}, "exp_avg_sq": {"number": torch.tensor([4.0])}}
        return OptimizerState(moments, 5, {"scale": 1024.0})


def folder_of(path: Path, keep: int = 3, world: World | None = None) -> CheckpointFolder:
    return CheckpointFolder(path / "checkpoints", world or World(), keep)


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert folder.last() is None
    saved = folder.save(OneNumber(3.5), STANDS)
    assert saved == folder.last() == folder.last_or_error() == folder.path / "step-00000007"
    assert names(saved) == ALL_FILES
    stored = read_checkpoint(saved)
    assert stored.ranks == (STANDS,)
    assert (stored.optimizer.steps, stored.optimizer.scaler) == (5, {"scale": 1024.0})
    assert stored.optimizer.moments["exp_avg_sq"]["number"].item() == 4.0
    assert load_file(stored.weights)["number"].item() == 3.5


def test_workers_that_have_not_given_a_batch_stand_at_the_start() -> None:
    assert STANDS.positions_of_all_workers() == [*POSITIONS, Position(2, 0, 0)]


def test_the_newest_stay_and_the_last_is_the_newest(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, keep=2)
    for step in (9, 10, 100):
        folder.save(OneNumber(step), RankState(step))
    assert names(folder.path) == ["step-00000010", "step-00000100"]
    assert read_checkpoint(folder.last_or_error()).ranks[0].step == 100


def test_a_full_disk_is_a_sentence_and_leaves_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", _full)
        with pytest.raises(RunError, match=r"cannot be written to .*: No space left on device. There is none bef"):
            folder.save(OneNumber(2), RankState(2))
    good = folder.save(OneNumber(1), RankState(1))
    monkeypatch.setattr(checkpoint, "write_tensors", _full)
    with pytest.raises(RunError, match=r"The one before, .*step-00000001, is whole; make room there, and go on with"):
        folder.save(OneNumber(2), RankState(2))
    assert names(folder.path) == ["step-00000001"]
    assert folder.last() == good


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_checkpoint_counts_only_when_everything_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    flushed: list[str] = []
    counted: list[Path | None] = []
    real = os.fsync

    def note(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        counted.append(folder.last())
        real(handle)

    monkeypatch.setattr(checkpoint.os, "fsync", note)
    saved = folder.save(OneNumber(1), RankState(1))
    assert set(ALL_FILES) <= set(flushed)
    assert counted[:-1] == [None] * (len(counted) - 1)
    assert (flushed[-1], counted[-1]) == ("checkpoints", saved)  # the folder itself, after the rename


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.save(OneNumber(1), RankState(1))
    saved = folder.save(OneNumber(2), RankState(1, 8))
    assert read_checkpoint(saved).ranks[0].samples == 8
    assert load_file(saved / WEIGHTS)["number"].item() == 2
    assert names(folder.path) == ["step-00000001"]


def test_rubbish_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    half = folder.path / ".step-00000001.tmp"
    half.mkdir(parents=True)
    (half / "old").touch()
    saved = folder.save(OneNumber(1), RankState(1))
    assert names(folder.path) == ["step-00000001"]
    assert names(saved) == ALL_FILES


@pytest.mark.parametrize("file", ALL_FILES)
@pytest.mark.parametrize("harm", ["gone", "shorter"])
def test_one_that_is_not_whole_does_not_count_and_the_one_before_does(tmp_path: Path, file: str, harm: str) -> None:
    folder = folder_of(tmp_path)
    before = folder.save(OneNumber(1), RankState(1))
    after = folder.save(OneNumber(2), RankState(2))
    assert folder.last() == after
    if harm == "gone":
        (after / file).unlink()
    else:
        (after / file).write_bytes((after / file).read_bytes()[:-3])
    assert folder.last() == before


def test_damaged_folders_push_no_good_one_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, keep=2)
    for step in (6, 7):
        folder.save(OneNumber(step), RankState(step))
    (folder.path / "step-00000007" / "rank-00000.json").unlink()
    folder.save(OneNumber(8), RankState(8))
    assert names(folder.path) == ["step-00000006", "step-00000008"], "two whole ones, and what is damaged goes"


def test_a_run_that_went_back_leaves_what_is_ahead_of_it_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, keep=1)
    folder.save(OneNumber(2), RankState(8))
    (folder.path / "step-00000008" / "rank-00000.json").unlink()
    folder.save(OneNumber(3), RankState(7))
    assert names(folder.path) == ["step-00000007", "step-00000008"]
    folder.save(OneNumber(3), RankState(9))
    assert names(folder.path) == ["step-00000009"]


def test_foreign_folders_stay_and_half_written_ones_go(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, keep=1)
    for name in ("step-00000001-copy", "step-best", ".step-00000005.tmp"):
        (folder.path / name).mkdir(parents=True)
    newest = folder.save(OneNumber(1), RankState(6))
    assert folder.last() == newest
    assert names(folder.path) == ["step-00000001-copy", "step-00000006", "step-best"]


@pytest.mark.parametrize("file", ["optimizer.safetensors", "rank-00000.json", "state.json"])
def test_a_planted_payload_does_not_run_and_damage_is_a_sentence(tmp_path: Path, file: str) -> None:
    saved = folder_of(tmp_path).save(OneNumber(1), STANDS)
    (saved / file).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(RunError, match=r"step-00000007 is damaged \(.*\). Delete that folder to resume from"):
        read_checkpoint(saved)
    assert not (tmp_path / "ran").exists()


def test_a_payload_in_place_of_the_weights_does_not_run(tmp_path: Path) -> None:
    saved = folder_of(tmp_path).save(OneNumber(1), STANDS)
    (saved / WEIGHTS).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(ModelError, match=f"damaged: {WEIGHTS} has"):
        load_weights(torch.nn.Linear(1, 1), read_checkpoint(saved).weights)
    write_checksums(saved)  # by whoever planted it
    with pytest.raises(ModelError, match="is not a readable safetensors file"):
        load_weights(torch.nn.Linear(1, 1), read_checkpoint(saved).weights)
    assert not (tmp_path / "ran").exists()


class Payload:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"world": 1}', '{"step": 1, "positions": [[1]]}'])
def test_a_damaged_position_is_a_sentence(content: str, tmp_path: Path) -> None:
    saved = folder_of(tmp_path).save(OneNumber(1), STANDS)
    (saved / "rank-00000.json").write_text(content)
    with pytest.raises(RunError, match=r"is damaged \("):
        read_checkpoint(saved)


def test_only_the_leader_makes_and_renames(tmp_path: Path) -> None:
    """The second of two processes writes its own place into the folder that the first has made."""
    leader, second = folder_of(tmp_path), folder_of(tmp_path, world=World(1, 2, 1))
    temporary = leader.path / ".step-00000007.tmp"
    temporary.mkdir(parents=True)
    second.save(OneNumber(1), STANDS)
    assert names(leader.path) == [temporary.name]
    assert names(temporary) == ["rank-00001.json"]
    assert json.loads((temporary / "rank-00001.json").read_text())["positions"] == [[0, 1, 30], [1, 0, 26]]


@pytest.mark.parametrize("file", ALL_FILES)
@pytest.mark.parametrize("harm", ["gone", "shorter", "other bytes"])
def test_damage_of_any_kind_is_passed_over_on_resume_by_name_and_set_aside(
    tmp_path: Path, file: str, harm: str
) -> None:
    folder = folder_of(tmp_path)
    before = folder.save(OneNumber(1), RankState(3))
    after = folder.save(OneNumber(2), RankState(7))
    content = (after / file).read_bytes()
    if harm == "gone":
        (after / file).unlink()
    else:
        changed = bytes([content[-3] ^ 4]) + content[-2:] if harm == "other bytes" else b""
        (after / file).write_bytes(content[:-3] + changed)
    choice = folder.choose()
    assert choice.path == before
    assert choice.finding is not None
    for words in ("step-00000007 (", file, "goes on from step-00000003", "does 4 steps again", ".damaged"):
        assert words in choice.finding
    assert names(folder.path) == ["step-00000003", "step-00000007.damaged"]
    assert folder.last() == before
    assert (folder.choose().path, folder.choose().finding) == (before, None)
    assert folder.save(OneNumber(2), RankState(7)) == folder.last()


def test_of_what_was_set_aside_the_newest_alone_stays(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.save(OneNumber(1), RankState(3))
    for step in (9, 10, 7):  # as a run meets them that goes back further each time but one
        (folder.path / f"step-{step:08d}.damaged").mkdir()
    assert folder.choose().path == folder.last()
    assert len(names(folder.path)) == 4, "nothing goes before there is another whole checkpoint"
    folder.save(OneNumber(2), RankState(8))
    assert names(folder.path) == ["step-00000003", "step-00000008", "step-00000010.damaged"]


def test_when_none_is_left_the_ways_out_are_named_and_nothing_is_moved(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert folder.choose().path is None
    for saved in [folder.save(OneNumber(1), RankState(step)) for step in (3, 7)]:
        (saved / "optimizer.safetensors").write_bytes(b"short")
    with pytest.raises(RunError, match=r"No checkpoint in .* is whole: step-00000007 \(optimizer.safetensors has 5 by"):
        folder.choose()
    with pytest.raises(RunError, match=r"step-00000003 .* Put back a copy, or start again in .* model.pretrained=FILE"):
        folder.choose()
    assert names(folder.path) == ["step-00000003", "step-00000007"]


class Killed(BaseException):
    """Nothing catches it and nothing cleans up after it, as after SIGKILL."""


def test_a_kill_at_any_moment_of_a_save_leaves_a_whole_checkpoint_and_the_next_save_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first, second, ... change of a file or folder, until it comes through."""
    ended: list[str] = []
    for number in range(100):
        folder = folder_of(tmp_path / str(number), keep=1)
        before = folder.save(OneNumber(1), RankState(1))
        left = [number]

        def or_die(real: Any, left: list[int] = left) -> Any:
            def act(*given: Any, **more: Any) -> Any:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return real(*given, **more)

            return act

        with monkeypatch.context() as patch:
            for owner, name in (
                *(
                    (checkpoint, one)
                    for one in ("write_tensors", "save_state_dict", "write_checksums", "_flush", "_write_json")
                ),
                *((Path, one) for one in ("rename", "mkdir")),
                (checkpoint.shutil, "rmtree"),
            ):
                patch.setattr(owner, name, or_die(getattr(owner, name)))
            try:
                after = folder.save(OneNumber(2), RankState(2))
            except Killed:
                after = folder.path / "step-00000002"
        chosen = folder.choose()
        assert chosen.finding is None
        assert chosen.path in (before, after)
        ended.append(chosen.path.name if chosen.path else "")
        folder.save(OneNumber(3), RankState(3))
        assert names(folder.path) == ["step-00000003"]
        if left[0]:
            break
    assert ended == sorted(ended)
    assert 10 < len(ended) < 40
    assert {*ended} == {before.name, after.name}
