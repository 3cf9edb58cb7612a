from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgsclip.benchmarks import eval_cost as bench
from pgsclip.benchmarks.eval_cost import bench_eval
from pgsclip.errors import DataError, RunError


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("model", "wds_a"):
        (tmp_path / name).mkdir()
    return tmp_path


def _answer(code: int, error: str) -> Any:
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        failed = "clip_benchmark.cli" in command
        return subprocess.CompletedProcess(command, code if failed else 0, "", error if failed else "")

    return seen, run


def test_both_get_the_same_work_in_turn_and_ours_skips_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "TypeError: only 0-dimensional arrays can be converted to Python scalars"
    seen, run = _answer(1, late)  # after all its work, from numpy 2.4 on
    monkeypatch.setattr(subprocess, "run", run)
    clock = itertools.count()
    monkeypatch.setattr(bench, "_processor_seconds", lambda: float(next(clock)))

    def in_turns(ways: dict[str, Any], repeats: int, **_: Any) -> dict[str, list[float]]:
        for way in ways.values():
            for _ in range(repeats + 1):
                way()
        return {bench.OURS: [1.0] * repeats, bench.THEIRS: [4.0] * repeats}

    monkeypatch.setattr(bench, "time_in_turns", in_turns)
    costs = bench_eval(here / "model", "wds/a", here, batch_size=5, repeats=2)
    assert [cost.cpu_ratio for cost in costs] == [1, 1]
    assert [(cost.name, cost.ratio) for cost in costs] == [(bench.OURS, 0.25), (bench.THEIRS, 1.0)]
    ours = [command for command in seen if "pgsclip" in command]
    theirs = [command for command in seen if "clip_benchmark.cli" in command]
    assert all(command[0] == sys.executable for command in seen)
    assert len({command[command.index("--out") + 1] for command in ours}) == 3
    assert all(f"local-dir:{here / 'model'}" in command for command in seen)
    assert theirs[0][theirs[0].index("--dataset_root") + 1] == str(here / "wds_a")
    assert theirs[0][theirs[0].index("--batch_size") + 1] == ours[0][ours[0].index("--batch-size") + 1] == "5"


def test_mistakes_are_sentences(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"The set wds/b is not there; looked in .*wds_b and .*b\. Give the folder"):
        bench_eval(here / "model", "wds/b", here, batch_size=5, repeats=1)
    monkeypatch.setattr(subprocess, "run", _answer(1, "Traceback\nValueError: no such thing")[1])
    with pytest.raises(RunError, match=r"`clip_benchmark\.cli eval` ended with 1: ValueError: no such thing"):
        bench_eval(here / "model", "wds/a", here, batch_size=5, repeats=1)
