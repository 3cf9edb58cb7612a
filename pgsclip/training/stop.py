"""Reasons to stop before the end: a signal from the keyboard or the scheduler, or a time that was set beforehand."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from types import FrameType, TracebackType

from pgsclip.errors import ConfigError

_SIGNALS = {signal.SIGINT: "the keyboard", signal.SIGTERM: "SIGTERM"}
_ECHO_SECONDS = 5.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is remembered instead of ending the process; a second one ends it.

    Launchers pass on a signal that the whole group of processes got already (Ctrl-C, scancel): where there is one, what
    follows within five seconds is the same request.
    """

    def __init__(self, after_seconds: float | None = None) -> None:
        self._deadline = None if after_seconds is None else time.monotonic() + after_seconds
        self._signal: str | None = None
        self._before: dict[int, object] = {}
        self._launched = "LOCAL_RANK" in os.environ  # by torchrun or DeepSpeed's launcher
        self._deaf_until = 0.0

    @property
    def reason(self) -> str | None:
        """Who wants the run to stop, None while nobody does."""
        if self._signal is not None:
            return self._signal
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "--stop-after"
        return None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal = _SIGNALS[signal.Signals(number)]
            if self._launched:
                self._deaf_until = now + _ECHO_SECONDS
                return
        elif now < self._deaf_until:
            return
        else:
            self._restore()
            os.kill(os.getpid(), number)
        self._restore()

    def _restore(self) -> None:
        for other, handler in self._before.items():
            signal.signal(other, handler)  # type: ignore[arg-type]


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `25m`, `3h30m`, `1d` or a plain number of minutes.

    Raises:
        ConfigError: anything else.
    """
    given = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", given)
    if parts and "".join(number + unit for number, unit in parts) == given:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return 60 * float(given)
    raise ConfigError(f"--stop-after {text!r} is not a duration; give minutes, or a form such as 90s, 25m or 3h30m.")
