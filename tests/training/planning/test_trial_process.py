from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.errors import TrainingError
from pgsclip.training.planning import trial_process as room
from pgsclip.training.planning.memory import DoesNotFitError
from pgsclip.training.planning.trial_process import probe_apart, run_apart
from pgsclip.training.planning.trial_steps import Probed

FOUND = Probed(
    steps=3, warm=2, pairs=8, seconds=0.5, waited=0.0, late=2.0, reader_seconds=0.4, workers=2, kept=0.5,
    gflops=1.25, memory_gib=2.5, taken=3, resting=1,
)  # fmt: skip


def config(*settings: str) -> RunConfig:
    return resolve(
        "smoke", {}, ["data.samples=64", "data.workers=0", "data.batch_size=8", "engine.device=cpu", *settings]
    )


@pytest.mark.slow
def test_a_process_of_its_own_measures_and_a_mistake_comes_back_as_its_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")  # whoever started this process did not start that one
    monkeypatch.setenv("RANK", "1")
    found = probe_apart(config(), 0, only_memory=True)
    assert (found.steps, found.pairs, found.kept) == (1, 8, 0.5)
    assert found.memory_gib > 0.2
    with pytest.raises(TrainingError, match=r"^Unknown masker 'rndom'\. Did you mean 'random'\?"):
        probe_apart(config("masker.name=rndom"), 0)
    assert list(tmp_path.iterdir()) == []


def ended(monkeypatch: pytest.MonkeyPatch, code: int = 0, out: str = "", err: str = "") -> dict[str, Any]:
    given: dict[str, Any] = {}

    def run(command: list[str], asked: str, variables: dict[str, str], _: Any) -> subprocess.CompletedProcess[str]:
        given.update(asked=asked, variables=variables)
        return subprocess.CompletedProcess(command, code, out, err)

    monkeypatch.setattr(room, "run_apart", run)
    return given


def python(code: str, asked: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    return run_apart([sys.executable, "-c", code], asked, dict(os.environ), more.get("alive", lambda: None))


def gone(process: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = Path(f"/proc/{process}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


CHILD = "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); "


def test_it_is_asked_in_json_and_finds_modules_where_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ended(monkeypatch, out=json.dumps({"found": asdict(FOUND)}))
    monkeypatch.setattr("sys.path", ["", "/mine", "/yours"])
    monkeypatch.setenv("WORLD_SIZE", "2")  # whoever started this process did not start that one
    assert probe_apart(config("optim.lr=0.25"), 1) == FOUND
    given = json.loads(asked["asked"])
    assert (given["phase"], given["only_memory"], given["config"]["optim"]["lr"]) == (1, False, 0.25)
    assert "WORLD_SIZE" not in asked["variables"]
    assert asked["variables"]["PYTHONPATH"] == "/mine:/yours"


def test_every_end_has_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, out=json.dumps({"sentence": "No room.", "fits": False}))
    with pytest.raises(DoesNotFitError, match=r"^No room\.$"):
        probe_apart(config(), 0)
    ended(monkeypatch, out=json.dumps({"sentence": "A mistake.", "fits": True}))
    with pytest.raises(TrainingError, match=r"^A mistake\.$") as mistake:
        probe_apart(config(), 0)
    assert not isinstance(mistake.value, DoesNotFitError)
    ended(monkeypatch, code=-9)
    with pytest.raises(DoesNotFitError, match="The system killed the process that measured"):
        probe_apart(config(), 0)
    ended(monkeypatch, code=1, err="Traceback …\nValueError: odd\n")
    with pytest.raises(TrainingError, match="The process that measured ended with 1: ValueError: odd"):
        probe_apart(config(), 0)
    ended(monkeypatch, code=-11)
    with pytest.raises(TrainingError, match="ended with -11: without a word"):
        probe_apart(config(), 0)


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MINUTES", 0)
    with pytest.raises(TrainingError, match="took longer than 0 minutes"):
        python("import time; time.sleep(99)")


def test_words_come_back_whatever_it_leaves_running() -> None:
    done = python(CHILD + "print(input()); print(c.pid, file=sys.stderr)", asked="hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert gone(int(done.stderr)), "what it left would hold a pipe open, and memory"


def test_a_stop_takes_everything_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def alive() -> None:
        if note.exists() and note.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        python(CHILD + f"open({str(note)!r}, 'w').write(str(c.pid)); c.wait()", alive=alive)
    assert gone(int(note.read_text()))


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Killed, a parent tells nobody."""
    inner = (
        "import threading; from pgsclip.training.planning import trial_process as room; "
        "threading.Thread(target=room._end_with_the_parent, daemon=True).start(); import time; time.sleep(99)"
    )
    process = subprocess.Popen([sys.executable, "-c", inner], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(60) == -9


def test_what_does_not_fit_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **more: Any) -> Probed:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(room, "probe", full)
    asked = {"config": config().model_dump(mode="json"), "phase": 0, "only_memory": True}
    answer = room._answer(asked)
    assert answer["fits"] is False
    assert answer["sentence"].startswith("A step of 8 pairs does not fit into the memory (CUDA out of memory).")
    monkeypatch.setattr(room, "probe", lambda *given, **more: FOUND)
    assert room._answer(asked) == {"found": asdict(FOUND)}
