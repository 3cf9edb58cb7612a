from __future__ import annotations

import io
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions

from pgsclip.config.resolve import check, to_yaml
from pgsclip.errors import RunError
from pgsclip.report.live_view import draw_screen, read_snapshot, watch


class Run:
    """A run folder that is written to as a run would."""

    def __init__(self, path: Path, optim: dict[str, float]) -> None:
        self.path = path
        path.mkdir()
        (path / "config.yaml").write_text(to_yaml(check({"data": {"batch_size": 10}, "optim": optim})))
        self.say("running")

    def say(self, state: str, said: str = "", **more: Any) -> None:
        known = {"state": state, "said": said, "host": socket.gethostname(), "pid": os.getpid(), "at": "now", **more}
        (self.path / "status.json").write_text(json.dumps(known))

    def log(self, *rows: dict[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def row(step: int, loss: float) -> dict[str, Any]:
    known = {"step": step, "samples": 10 * step, "epoch": step / 20, "loss": loss, "acc1": 0.25, "logit_scale": 14.0}
    return {**known, "samples_per_s": 5.0, "patches_kept": 0.5, "data_wait_share": 0.1, "memory_gib": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "mine", {"steps": 40})


def shown(run: Run, *steps: Any, terminal: bool) -> tuple[str, Any]:
    """What `watch` writes while `steps` happen, one at each wait."""
    screen, coming = io.StringIO(), iter(steps)

    def sleep(seconds: float) -> None:
        assert seconds == 3.0
        next(coming)()

    console = Console(file=screen, force_terminal=terminal, width=80, color_system=None)
    state = watch(run.path, console, 3.0, sleep)
    assert next(coming, None) is None, "it ended early"
    return screen.getvalue(), state


def test_lines_come_as_the_run_writes_them_and_end_with_it(run: Run) -> None:
    run.log(row(10, 4.0))
    said, state = shown(
        run,
        lambda: run.log(row(20, 3.5), {"step": 20, "eval/pairs/text_retrieval_recall@5": 0.5}),
        lambda: None,
        lambda: run.say("finished", "all steps are done."),
        terminal=False,
    )
    lines = said.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "step 10/40",
        "step 20/40",
        "step 20",
        "mine: finished at now: all steps are done.",
    ]
    assert "loss 3.500" in lines[1]
    assert lines[1].endswith("0:40 left")  # 20 steps of 10 samples at 5 a second
    assert lines[2] == "step 20  eval/pairs/text_retrieval_recall@5 0.5000"
    assert state.exit_code == 0


def test_rows_that_are_taken_back_are_told_again(run: Run) -> None:
    run.log(row(10, 4.0), row(20, 3.0))

    def resume() -> None:
        (run.path / "metrics.jsonl").unlink()
        run.log(row(10, 4.0))

    said, _ = shown(run, resume, lambda: run.log(row(20, 2.5)), lambda: run.say("stopped", "later"), terminal=False)
    assert [line.split()[3] for line in said.splitlines()[:-1]] == ["4.000", "3.000", "2.500"]


def test_a_terminal_gets_curves(run: Run) -> None:
    run.log(row(10, 4.0))
    said, _ = shown(run, lambda: run.log(row(20, 3.0)), lambda: run.say("finished", "done."), terminal=True)
    assert "  loss  4\n" in said, "one point is no curve"
    assert "loss  3 to 4, now 3" in said
    assert "acc1  0.25 to 0.25, now 0.25" in said
    assert "samples/s  5 to 5, now 5" in said
    assert "mine: finished at now: done." in said


def test_results_take_the_place_of_the_accuracy_in_a_batch(run: Run) -> None:
    run.log(row(5, 3.0), row(10, 4.0), row(20, float("nan")), {"step": 20, "eval/pairs/image_retrieval_recall@5": 0.5})
    screen = io.StringIO()
    Console(file=screen, width=80).print(draw_screen(read_snapshot(run.path), ConsoleDimensions(80, 24)))
    assert len(screen.getvalue().splitlines()) <= 24
    assert "pairs/image_retrieval_recall@5  0.5\n" in screen.getvalue()
    assert "acc1 " not in screen.getvalue().replace("acc@1", "")
    assert "loss  3 to 4, now nan" in screen.getvalue()


def test_the_length_is_known_from_epochs_too_and_nothing_is_invented(tmp_path: Path) -> None:
    run = Run(tmp_path / "epochs", {"epochs": 3})
    assert read_snapshot(run.path).total == 0
    run.log(row(10, 4.0))
    assert read_snapshot(run.path).total == 60  # 200 pairs an epoch, 10 a step
    (run.path / "config.yaml").write_text("optim: {later: 1}")
    said, _ = shown(run, lambda: run.say("failed", "no."), terminal=False)
    assert said.startswith("step 10  loss 4.000")
    assert "left" not in said


def test_a_run_that_was_killed_ends_the_watch(run: Run) -> None:
    run.log({"step": 3, "loss": 1.0})
    said, state = shown(run, lambda: run.say("running", pid=2**22 + 1), terminal=False)
    assert said.splitlines()[0] == "step 3  loss 1.0"
    assert "killed; `--resume` goes on" in said
    assert state.is_gone
    run.say("running", host="elsewhere", pid=2**22 + 1)
    assert not read_snapshot(run.path).ended


def test_a_folder_without_a_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No run has begun in"):
        watch(tmp_path, Console(file=io.StringIO()), 1.0)
