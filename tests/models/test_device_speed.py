from __future__ import annotations

import time

import pytest
import torch

from pgsclip.models.device_speed import copy_rate, matrix_rate


def test_the_rate_is_work_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 4)
    monkeypatch.setattr("pgsclip.models.device_speed._SIDE", 100)
    assert matrix_rate(torch.device("cpu"), torch.float32) == pytest.approx(2 * 100**3 * 4)


def test_a_slow_machine_is_given_smaller_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[int] = []

    def products(side: int, rounds: int, *_: object) -> list[float]:
        sides.append(side)
        return [2 * side**3 / 1e9] * rounds

    monkeypatch.setattr("pgsclip.models.device_speed._products", products)
    assert matrix_rate(torch.device("cpu"), torch.float32, seconds=1.0) == pytest.approx(1e9)
    assert matrix_rate(torch.device("cpu"), torch.float32, seconds=1e-3) == pytest.approx(1e9)
    assert sides == [256, 384, 256, 256]


def test_this_machine_multiplies() -> None:
    assert matrix_rate(torch.device("cpu"), torch.float32) > 1e8
    assert copy_rate(torch.device("cpu")) > 1e7


def test_a_copy_counts_what_it_reads_and_what_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 4)
    monkeypatch.setattr("pgsclip.models.device_speed._COPIED", 4000)
    assert copy_rate(torch.device("cpu")) == pytest.approx(2 * 4000 * 4)
