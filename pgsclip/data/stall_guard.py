"""Protection of a loader against its surroundings: workers that hang, and signals that were meant for the run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import NoReturn, TypeVar

import torch

from pgsclip import opencv as cv2
from pgsclip.errors import DataError, InstallationError

T = TypeVar("T")
_NAME_BYTES = 1024
_LAST_WORDS_SECONDS = 300


class OpenShards:
    """The shard that each loader worker has open, in memory that the training process can look into."""

    def __init__(self, workers: int) -> None:
        self._names = torch.zeros(workers, _NAME_BYTES, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]

    def record(self, worker: int, shard: str) -> None:
        """Remember that worker `worker` is about to open a shard."""
        name = shard.encode()[-_NAME_BYTES:].ljust(_NAME_BYTES, b"\0")
        self._names[worker] = torch.frombuffer(bytearray(name), dtype=torch.uint8)

    def names(self) -> list[str]:
        """Name the shards that are open, each once."""
        names = [bytes(row.tolist()).rstrip(b"\0").decode(errors="replace") for row in self._names]
        return list(dict.fromkeys(name for name in names if name))

    def stall_error(self, seconds: float) -> DataError:
        """Build the error for a batch that did not come."""
        shards = self.names()
        place = f" while reading {', '.join(shards)}" if shards else ""
        return DataError(
            f"No batch came for {seconds:g} seconds{place}. Check that this source still answers; if it is only "
            f"slow, allow more with --set data.stall_seconds, or raise data.workers."
        )


def name_stalled_shards(items: Iterator[T], seconds: float, open_shards: OpenShards) -> Iterator[T]:
    """Yield the items of a DataLoader whose timeout is `seconds`; name the open shards when it strikes."""
    try:
        yield from items
    except RuntimeError as error:
        if "timed out" in str(error):
            raise open_shards.stall_error(seconds) from None
        raise


def within_seconds(items: Iterator[T], seconds: float, open_shards: OpenShards) -> Iterator[T]:
    """Yield items that are made in this process; break off a read that takes longer than `seconds`, by an alarm.

    Only the main thread can be interrupted; elsewhere, and where there are no alarms, the wait has no end.
    """

    def strike(number: int, frame: FrameType | None) -> NoReturn:
        raise open_shards.stall_error(seconds)

    watched = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    while True:
        if watched:
            before = signal.signal(signal.SIGALRM, strike)
            signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            arrived = [next(items)]
        except StopIteration:
            return
        finally:
            if watched:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
        yield arrived.pop()  # not held on to: an error that is passed on would never be freed, and its loader with it


def init_worker(_: int) -> None:
    """Prepare a loader process.

    One thread: more would fight with the training process for the same cores. A signal that a scheduler or a keyboard
    sends to all processes at once is the training process's to answer, which still wants its batch and ends its
    workers itself; an orphaned worker exits after five minutes.
    """
    torch.set_num_threads(1)
    with suppress(InstallationError):  # where there is no OpenCV, what needs it says so itself
        cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_LAST_WORDS_SECONDS))
