from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from pgsclip.data.stall_guard import Reading, calm_worker, in_time, named_when_late
from pgsclip.errors import DataError


def test_what_is_open_is_known_by_worker() -> None:
    reading = Reading(3)
    assert reading.shards() == []
    reading.note(1, "a.tar")
    reading.note(2, "a.tar")
    reading.note(0, "läuft.tar")
    assert reading.shards() == ["läuft.tar", "a.tar"]
    reading.note(0, "x" * 5000 + "end.tar")
    assert reading.shards()[0].endswith("end.tar")


def hang(after: int) -> Iterator[int]:
    yield from range(after)
    time.sleep(30)


def test_a_reader_that_hangs_in_this_process_is_broken_off_and_named() -> None:
    reading = Reading(1)
    reading.note(0, "slow.tar")
    before = signal.getsignal(signal.SIGALRM)
    items = in_time(hang(2), 0.3, reading)
    assert [next(items), next(items)] == [0, 1]
    began = time.monotonic()
    with pytest.raises(DataError, match=r"No batch came for 0.3 seconds while reading slow.tar. Look whether"):
        next(items)
    assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGALRM) == before
    assert list(in_time(iter([1, 2]), 0.3, reading)) == [1, 2]


def test_a_loader_s_own_timeout_is_named_and_other_errors_pass() -> None:
    def late(message: str) -> Iterator[int]:
        yield 1
        raise RuntimeError(message)

    reading = Reading(1)
    reading.note(0, "pipe:sleep 9")
    items = named_when_late(late("DataLoader timed out after 5 seconds"), 5.0, reading)
    assert next(items) == 1
    with pytest.raises(DataError, match=r"for 5 seconds while reading pipe:sleep 9\."):
        next(items)
    with pytest.raises(RuntimeError, match="worker exited"):
        list(named_when_late(late("DataLoader worker exited"), 5.0, reading))
    assert list(named_when_late(iter([1, 2]), 5.0, reading)) == [1, 2]


def test_a_loader_process_leaves_signals_to_the_training_process(monkeypatch: pytest.MonkeyPatch) -> None:
    alarms: list[int] = []
    monkeypatch.setattr(signal, "alarm", alarms.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        calm_worker(0)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert alarms == [300]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
