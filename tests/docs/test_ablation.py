from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "benchmarks" / "ablation.py"


def test_the_step_runs_without_each_of_its_speed_ups(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = runpy.run_path(str(SCRIPT))
    monkeypatch.setattr(sys, "argv", ["ablation.py", "--model", "pgsclip-smoke", "--batch-size", "3", "--repeats", "1"])
    page["main"]()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == ["without", *page["WITHOUT"]]
    assert all(float(row.split("|")[2]) > 0 for row in rows[1:])
