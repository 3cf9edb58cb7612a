from __future__ import annotations

import time

import pytest
import torch

from pgsclip.models.rate import matrix_rate


def test_the_rate_is_work_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 4)
    monkeypatch.setattr("pgsclip.models.rate._SIDE", 100)
    assert matrix_rate(torch.device("cpu"), torch.float32) == pytest.approx(2 * 100**3 * 4)


def test_this_machine_multiplies() -> None:
    assert matrix_rate(torch.device("cpu"), torch.float32) > 1e8
