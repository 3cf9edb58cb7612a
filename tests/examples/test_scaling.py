from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "scaling.py"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def test_the_tables_of_the_document_are_what_it_prints(
    page: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["scaling.py"])
    page["main"]()
    document = (ROOT / "docs" / "benchmarks" / "scaling.md").read_text()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(printed) == 4 * 8
    assert all(line in document for line in printed)


def test_the_parts_are_those_of_the_formulas(page: dict[str, Any]) -> None:
    machine = page["Machine"](rate=1e3, inside=100.0, between=10.0, cores=2, storage=50.0, gpus=2, delay=0.5)
    work = page["Work"](operations=6e3, parameters=100, width=5, decode=0.1, size=25.0)
    alone = page["step_of"](work, machine, 1, 10)
    assert (alone.towers, alone.gather, alone.reduce, alone.decode, alone.read) == (60, 0, 0, 0.5, 5)
    assert alone.loss == pytest.approx(12 * 10 * 10 * 5 / 1e3)
    two = page["step_of"](work, machine, 2, 10)
    assert two.gather == pytest.approx(2 * (2 * 10 * 5 * 4 / 100 + 0.5))
    four = page["step_of"](work, machine, 4, 10)
    assert four.gather == pytest.approx(2 * (2 * 3 * 10 * 5 * 4 / 10 + 1.0))
    assert four.reduce == pytest.approx(2 * 3 / 4 * 4 * 100 / 10 + 1.0 - 20)
    assert four.seconds == pytest.approx(four.towers + four.loss + four.gather + four.reduce)
    assert four.limit == "gather"
    slow = page["step_of"](page["Work"](6e3, 100, 5, 99.0, 25.0), machine, 4, 10)
    assert (slow.seconds, slow.limit) == (495, "decode")


def test_two_processes_are_measured_against_the_sum_of_their_parts() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE), "--check"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    alone, reduce, gather, sum_, together = (float(line.split()[-2]) for line in done.stdout.splitlines())
    assert sum_ == pytest.approx(alone + reduce + gather, abs=0.3)
    assert min(alone, reduce, gather, together) > 0
