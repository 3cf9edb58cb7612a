from __future__ import annotations

import time

import pytest
import torch

from pgsclip.models.rate import copy_rate, matrix_rate


def test_the_rate_is_work_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 4)
    monkeypatch.setattr("pgsclip.models.rate._SIDE", 100)
    assert matrix_rate(torch.device("cpu"), torch.float32) == pytest.approx(2 * 100**3 * 4)


def test_this_machine_multiplies() -> None:
    assert matrix_rate(torch.device("cpu"), torch.float32) > 1e8
    assert copy_rate(torch.device("cpu")) > 1e7


def test_a_copy_counts_what_it_reads_and_what_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 4)
    monkeypatch.setattr("pgsclip.models.rate._COPIED", 4000)
    assert copy_rate(torch.device("cpu")) == pytest.approx(2 * 4000 * 4)
