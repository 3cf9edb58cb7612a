from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from pgsclip.data.stall_guard import OpenShards, init_worker, name_stalled_shards, within_seconds
from pgsclip.errors import DataError


def test_what_is_open_is_known_by_worker() -> None:
    open_shards = OpenShards(3)
    assert open_shards.names() == []
    open_shards.record(1, "a.tar")
    open_shards.record(2, "a.tar")
    open_shards.record(0, "läuft.tar")
    assert open_shards.names() == ["läuft.tar", "a.tar"]
    open_shards.record(0, "x" * 5000 + "end.tar")
    assert open_shards.names()[0].endswith("end.tar")


def hang(after: int) -> Iterator[int]:
    yield from range(after)
    time.sleep(30)


def test_a_reader_that_hangs_in_this_process_is_broken_off_and_named() -> None:
    open_shards = OpenShards(1)
    open_shards.record(0, "slow.tar")
    before = signal.getsignal(signal.SIGALRM)
    items = within_seconds(hang(2), 0.3, open_shards)
    assert [next(items), next(items)] == [0, 1]
    began = time.monotonic()
    with pytest.raises(DataError, match=r"0\.3 seconds .*slow\.tar.*data\.stall_seconds"):
        next(items)
    assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGALRM) == before
    assert list(within_seconds(iter([1, 2]), 0.3, open_shards)) == [1, 2]


def test_a_loader_s_own_timeout_is_named_and_other_errors_pass() -> None:
    def late(message: str) -> Iterator[int]:
        yield 1
        raise RuntimeError(message)

    open_shards = OpenShards(1)
    open_shards.record(0, "pipe:sleep 9")
    items = name_stalled_shards(late("DataLoader timed out after 5 seconds"), 5.0, open_shards)
    assert next(items) == 1
    with pytest.raises(DataError, match=r"5 seconds .*pipe:sleep 9"):
        next(items)
    with pytest.raises(RuntimeError, match="worker exited"):
        list(name_stalled_shards(late("DataLoader worker exited"), 5.0, open_shards))
    assert list(name_stalled_shards(iter([1, 2]), 5.0, open_shards)) == [1, 2]


def test_a_loader_process_leaves_signals_to_the_training_process(monkeypatch: pytest.MonkeyPatch) -> None:
    alarms: list[int] = []
    monkeypatch.setattr(signal, "alarm", alarms.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        init_worker(0)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert alarms == [300]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
