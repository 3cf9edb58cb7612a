from __future__ import annotations

import time

import pytest

from pgsclip.benchmarks.timing import time_in_turns


def test_each_round_begins_with_another_and_the_first_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done, told = [0.0], [], []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def way(name: str, seconds: float) -> None:
        done.append(name)
        clock[0] += seconds if len(done) > 2 else 100.0

    found = time_in_turns({"a": lambda: way("a", 1.0), "b": lambda: way("b", 2.0)}, 2, on_progress=told.append)
    assert found == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert done == ["a", "b", "b", "a", "a", "b"]
    assert told[2] == "round 1 of 2: b"


def test_what_a_device_still_does_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, owed = [0.0], [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def queue() -> None:
        owed[0] = 3.0

    def wait() -> None:
        clock[0] += owed[0]
        owed[0] = 0.0

    assert time_in_turns({"it": queue}, 2, wait=wait) == {"it": [3.0, 3.0]}
