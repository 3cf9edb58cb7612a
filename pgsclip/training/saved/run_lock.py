"""One run at a time in a folder: a lock of the kernel, which goes with its process however that dies."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from pgsclip.errors import PgsclipError, RunError, UnfinishedError
from pgsclip.results.run_status import FAILED, FINISHED, RUNNING, STOPPED, read_status, write_status

_LOCK = ".lock"


class RunLock:
    """A run's hold on its folder, in the process that leads; in the others it does nothing."""

    def __init__(self, run: Path, leads: bool) -> None:
        self._run = run
        self._leads = leads
        self._lock: TextIOWrapper | None = None

    def take(self) -> None:
        """From now on this run is the one in the folder.

        Raises:
            RunError: another one is.
        """
        if not self._leads or self._lock is not None:
            return
        lock = (self._run / _LOCK).open("w", encoding="utf-8")
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock, which loader processes would inherit
        except (BlockingIOError, PermissionError):
            lock.close()
            raise RunError(f"Another run is at work in {self._run}: {self._other()} Wait for it, or end it.") from None
        except OSError:  # the file system has no locks (some NFS): run unguarded
            pass
        self._lock = lock
        write_status(self._run, RUNNING, "")

    def end(self, error: BaseException | None) -> None:
        """Write down how the run ended, and let go."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):  # on a full disk; what was raised says more
            if error is None:
                write_status(self._run, FINISHED, "all steps are done.")
            else:
                said = str(error) if isinstance(error, PgsclipError) else f"{type(error).__name__}: {error}"
                write_status(self._run, STOPPED if isinstance(error, UnfinishedError) else FAILED, said)
        self._lock.close()
        self._lock = None

    def _other(self) -> str:
        with contextlib.suppress(RunError):
            return read_status(self._run).describe()
        return "it has not said a word yet."


@contextlib.contextmanager
def locked_run(run: Path, leads: bool) -> Iterator[RunLock]:
    """A lock that is not taken yet, and that tells how the run ended if it was."""
    lock = RunLock(run, leads)
    try:
        yield lock
    except BaseException as error:
        lock.end(error)
        raise
    lock.end(None)
