from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from pgsclip.config.resolve import check, resolve
from pgsclip.errors import RunError
from pgsclip.training.saved.run_folder import RunFolder, default_path, write_atomically
from pgsclip.version import __version__


def test_a_new_folder_describes_its_run(tmp_path: Path) -> None:
    config = resolve("smoke", {})
    RunFolder(tmp_path / "a" / "run").create(config)
    assert check(yaml.safe_load((tmp_path / "a/run/config.yaml").read_text())) == config
    environment = json.loads((tmp_path / "a/run/environment.json").read_text())
    assert environment["packages"]["torch"] != "not installed"
    assert environment["packages"]["pgsclip"] == __version__
    assert environment["command"].startswith("pgsclip")


def test_a_start_that_was_killed_at_once_does_not_block_the_next(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / f".config.yaml.{'0' * 16}.tmp").write_text("half")
    RunFolder(tmp_path).create(resolve("smoke", {}))
    assert (tmp_path / "config.yaml").is_file()
    other = tmp_path / "other"
    (other / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.raises(RunError, match="already exists and is not overwritten"):
        RunFolder(other).create(resolve("smoke", {}))


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(
        RunError, match=r"already exists and is not overwritten. Give another --out, go on with --resume"
    ):
        RunFolder(tmp_path).create(resolve("smoke", {}))
    assert [p.name for p in tmp_path.iterdir()] == ["note"]
    with pytest.raises(RunError, match="already exists"):
        RunFolder(tmp_path / "note").create(resolve("smoke", {}))


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    RunFolder(tmp_path).create(resolve("smoke", {}))
    assert {"config.yaml", "environment.json", "checkpoints"} <= {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be made: Not a directory. Give another --out"):
        RunFolder(tmp_path / "file" / "run").create(resolve("smoke", {}))


def test_rows_of_steps_to_come_are_forgotten_and_a_torn_line_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.add_row({"step": step, "loss": 0.5})
    metrics = tmp_path / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write('{"step": 2, "lo')
    folder.forget_rows_after(2)
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2]
    folder.add_row({"step": 3})
    assert len(metrics.read_text().splitlines()) == 3
    RunFolder(tmp_path / "none").forget_rows_after(2)


def test_rows_that_the_disk_does_not_take_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(5, "Input/output error")

    folder = RunFolder(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse)
    folder.flush_rows()  # there are none yet
    folder.add_row({"step": 1})
    with pytest.raises(RunError, match=r"metrics\.jsonl cannot be written to the disk: Input/output error\."):
        folder.flush_rows()


def test_default_names_are_numbered_and_resume_takes_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = resolve("smoke", {"masker.ratio": "0.3:0.5"})
    assert default_path(config, resume=False) == Path("runs/smoke-pgs-0.3-0.5")
    Path("runs/smoke-pgs-0.3-0.5").mkdir(parents=True)
    assert default_path(config, resume=False) == Path("runs/smoke-pgs-0.3-0.5-2")
    Path("runs/smoke-pgs-0.3-0.5-2").mkdir()
    assert default_path(config, resume=True) == Path("runs/smoke-pgs-0.3-0.5-2")
    assert default_path(resolve(None, {}), resume=True) == Path("runs/run-none")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"


def test_whether_an_evaluation_was_written_down(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.has_results(4)
    folder.add_row({"step": 4, "loss": 1.0})
    assert not folder.has_results(4)
    folder.add_row({"step": 4, "eval/set/acc1": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "eval/set/ac')
    assert folder.has_results(4)
    assert not folder.has_results(5)
