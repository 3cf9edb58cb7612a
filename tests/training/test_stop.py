from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from pgsclip.errors import ConfigError
from pgsclip.training.stop import StopRequest, parse_duration


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "the keyboard")], ids=["SIGTERM", "SIGINT"]
)
def test_the_first_signal_is_a_request_and_the_second_is_not(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, reason: str
) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    struck: list[int] = []
    before = {one: signal.signal(one, lambda n, _: struck.append(n)) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        with StopRequest() as stop:
            assert stop.reason is None
            os.kill(os.getpid(), number)
            assert stop.reason == reason
            assert not struck
            os.kill(os.getpid(), number)
            assert struck == [number]
        os.kill(os.getpid(), signal.SIGTERM)
        assert struck == [number, signal.SIGTERM]
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_what_a_launcher_passes_on_at_once_is_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    struck: list[int] = []
    before = {one: signal.signal(one, lambda n, _: struck.append(n)) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            now[0] = 54.9
            os.kill(os.getpid(), signal.SIGTERM)
            assert (stop.reason, struck) == ("the keyboard", [])
            now[0] = 55.1
            os.kill(os.getpid(), signal.SIGTERM)
            assert (stop.reason, struck) == ("the keyboard", [signal.SIGTERM])
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stop = StopRequest(after_seconds=10.0)
    now[0] = 59.9
    assert stop.reason is None
    now[0] = 60
    assert stop.reason == "--stop-after"


def test_outside_the_main_thread_there_are_no_handlers_and_no_error() -> None:
    reasons: list[str | None] = []

    def enter() -> None:
        with StopRequest() as stop:
            reasons.append(stop.reason)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert reasons == [None]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("25m", 1500), ("3h30m", 12600), ("1d", 86400), ("2.5h", 9000), ("45", 2700), (" 1H ", 3600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "3x", "3h 30m x", "-5m", "1h30"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a duration; give minutes, or a form such as 90s, 25m or 3h30m"):
        parse_duration(text)
