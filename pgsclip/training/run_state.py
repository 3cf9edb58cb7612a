"""What became of a run, in its folder, for scripts whose launcher hides how a process ended; and one run at a time.

torchrun ends with 1 whatever its processes ended with, and starts anew what did not end with 0. So a run writes
`status.json`, and `pgsclip status` reads it. A lock of the kernel beside it, which goes with the process however it
dies, keeps a second run out of a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

from pgsclip.config.files import write_atomically
from pgsclip.errors import PgsclipError, RunError, UnfinishedError

_FILE = "status.json"
_LOCK = ".lock"
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


class RunState(NamedTuple):
    """The last word of a run about itself."""

    state: str
    """`running` (or ended without a word), `finished`, `stopped` (when asked, and saved) or `failed`."""
    said: str
    """The sentence that it ended with."""
    host: str
    pid: int
    at: str
    """When this was written, UTC."""

    @property
    def exit_code(self) -> int:
        """As `pgsclip train` itself leaves: 0 finished, 75 stopped early, 2 anything else."""
        return {FINISHED: 0, STOPPED: UnfinishedError.exit_code}.get(self.state, PgsclipError.exit_code)

    @property
    def gone(self) -> bool:
        """Whether it was running here, and its process is not there any more; of another host nothing is known."""
        if self.state != RUNNING or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            return False
        return False

    def sentence(self) -> str:
        """For a person."""
        if self.state == RUNNING:
            return f"running since {self.at} as process {self.pid} of {self.host}, unless it was killed."
        return f"{self.state} at {self.at}: {self.said}"


def read_state(run: Path) -> RunState:
    """What the run in a folder last said.

    Raises:
        RunError: it said nothing, or something unreadable.
    """
    try:
        return RunState(**json.loads((run / _FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RunError(f"No run has begun in {run} (no {_FILE}); give the folder of a run.") from None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run / _FILE} cannot be read ({error}); look at the log of the run.") from None


class Claim:
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
        except OSError:  # a file system without locks: as before there were any
            pass
        self._lock = lock
        self._write(RUNNING, "")

    def end(self, error: BaseException | None) -> None:
        """Write down how the run ended, and let go."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):  # on a full disk; what was raised says more
            if error is None:
                self._write(FINISHED, "all steps are done.")
            else:
                said = str(error) if isinstance(error, PgsclipError) else f"{type(error).__name__}: {error}"
                self._write(STOPPED if isinstance(error, UnfinishedError) else FAILED, said)
        self._lock.close()
        self._lock = None

    def _write(self, state: str, said: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = RunState(state, said, socket.gethostname(), os.getpid(), now)._asdict()
        write_atomically(self._run / _FILE, json.dumps(content, indent=2) + "\n")

    def _other(self) -> str:
        with contextlib.suppress(RunError):
            return read_state(self._run).sentence()
        return "it has not said a word yet."


@contextlib.contextmanager
def claimed(run: Path, leads: bool) -> Iterator[Claim]:
    """A claim that is not taken yet, and that tells how the run ended if it was."""
    claim = Claim(run, leads)
    try:
        yield claim
    except BaseException as error:
        claim.end(error)
        raise
    claim.end(None)
