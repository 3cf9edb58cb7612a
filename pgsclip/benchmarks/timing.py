"""Timing several ways to do one thing so that they can be compared: they take turns within one process.

A machine that slows down then slows all of them, and each round begins with another, so that none always follows the
same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def time_in_turns(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    wait: Callable[[], None] = lambda: None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Time each way in each round, after one more round that warms up.

    Args:
        wait: called around each way; returns when the device has done what it was given.
        on_progress: told the round and the way that is next.

    Returns:
        Seconds of each way, one number a round.
    """
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 1):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            on_progress(f"round {number} of {repeats}: {name}")
            wait()
            began = time.perf_counter()
            ways[name]()
            wait()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds
