"""Timing several ways of doing one thing so that they can be compared: they take turns within one process.

A machine that slows down then slows all of them, and each round begins with another, so that none always follows the
same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def seconds_in_turns(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    wait: Callable[[], None] = lambda: None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Seconds of each way in each round, after one more round that warms up.

    Args:
        wait: until a device has done what it was given.
        progress: told the round and the way that is next.
    """
    names = list(ways)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 1):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            progress(f"round {number} of {repeats}: {name}")
            wait()
            began = time.perf_counter()
            ways[name]()
            wait()
            if number:
                found[name].append(time.perf_counter() - began)
    return found
