"""The state of a run, in its folder, for scripts whose launcher hides how a process ended.

torchrun ends with 1 whatever its processes ended with, and starts anew what did not end with 0. So a run writes
`status.json`, and `pgsclip status` reads it.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pgsclip.errors import PgsclipError, RunError, UnfinishedError
from pgsclip.files import write_atomically

FILE = "status.json"
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


class RunStatus(NamedTuple):
    """The state that a run last wrote about itself."""

    state: str
    """`running` (or killed), `finished`, `stopped` (when asked, and saved) or `failed`."""
    said: str
    """Sentence that it ended with."""
    host: str
    pid: int
    at: str
    """Time of writing, UTC."""

    @property
    def exit_code(self) -> int:
        """Exit code of `pgsclip train` itself: 0 finished, 75 stopped early, 2 anything else."""
        return {FINISHED: 0, STOPPED: UnfinishedError.exit_code}.get(self.state, PgsclipError.exit_code)

    @property
    def is_gone(self) -> bool:
        """True when it was running on this host and its process is gone; of another host nothing is known."""
        if self.state != RUNNING or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            return False
        return False

    def describe(self) -> str:
        """Describe the state in a sentence."""
        if self.state == RUNNING:
            return f"running since {self.at} as process {self.pid} of {self.host}, unless it was killed."
        return f"{self.state} at {self.at}: {self.said}"


def read_status(run: Path) -> RunStatus:
    """Read the state of the run in a folder.

    Raises:
        RunError: there is none, or it is unreadable.
    """
    try:
        return RunStatus(**json.loads((run / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RunError(f"No run has begun in {run} (no {FILE}); give the folder of a run.") from None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run / FILE} cannot be read ({error}); look at the log of the run.") from None


def write_status(run: Path, state: str, said: str) -> None:
    """Write the state of this process's run, as of now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content = RunStatus(state, said, socket.gethostname(), os.getpid(), now)._asdict()
    write_atomically(run / FILE, json.dumps(content, indent=2) + "\n")
