"""`probe` in a process of its own: its peak of memory is the steps' alone, and what kills it kills nothing else.

JSON goes in and comes out; `python -m pgsclip.training.planning.trial_process` is the other end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.errors import PgsclipError, TrainingError
from pgsclip.process_group import leave
from pgsclip.training.planning.memory import DoesNotFitError, enough_memory
from pgsclip.training.planning.trial_steps import Probed, probe

_MINUTES = 30
"""After which a probe is given up."""
_GLANCE = 0.2
"""Seconds between two looks at whether it is still wanted."""
_OF_LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def probe_apart(
    config: RunConfig, phase: int, *, only_memory: bool = False, alive: Callable[[], None] = lambda: None
) -> Probed:
    """What `probe` finds.

    Args:
        alive: called a few times a second; what it raises ends the process and everything that it has started.

    Raises:
        DoesNotFitError: the process ran out of memory.
        TrainingError: the steps stop with a sentence or the process dies; the message says which.
    """
    asked = {"config": config.model_dump(mode="json"), "phase": phase, "only_memory": only_memory}
    variables = {name: value for name, value in os.environ.items() if name not in _OF_LAUNCHERS}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # plugins are found as here
    command = [sys.executable, "-m", "pgsclip.training.planning.trial_process"]
    return _read(run_apart(command, json.dumps(asked), variables, alive))


def run_apart(
    command: list[str], asked: str, variables: dict[str, str], alive: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own; whatever happens here or there, nothing of it is left running.

    Files take its output: loader processes that outlive it would hold pipes open. Its input stays open as long as this
    process lives, which is how it learns of a death that nobody could tell it.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(  # noqa: S603 - our own words
            command, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True, env=variables, start_new_session=True
        )
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(asked + "\n")
                process.stdin.flush()
            _wait(process, alive)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())


def _wait(process: subprocess.Popen[str], alive: Callable[[], None]) -> None:
    until = time.monotonic() + 60 * _MINUTES
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GLANCE)
            return
        alive()
        if time.monotonic() > until:
            raise TrainingError(f"The steps that were to be measured took longer than {_MINUTES} minutes.")


def _read(done: subprocess.CompletedProcess[str]) -> Probed:
    with suppress(ValueError):
        answer = json.loads(done.stdout)
        if "found" in answer:
            return Probed(**answer["found"])
        raise (TrainingError if answer["fits"] else DoesNotFitError)(answer["sentence"])
    if done.returncode == -signal.SIGKILL:
        raise DoesNotFitError("The system killed the process that measured, as it does when memory runs out.")
    last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
    raise TrainingError(f"The process that measured ended with {done.returncode}: {last}")


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        config = check(asked["config"])
        with enough_memory(config.data.pairs_per_step):
            found = probe(config, asked["phase"], only_memory=asked["only_memory"])
    except PgsclipError as error:
        return {"sentence": str(error), "fits": not isinstance(error, DoesNotFitError)}
    finally:
        leave()
    return {"found": asdict(found)}


def _main() -> None:
    with suppress(OSError):  # when memory runs out, the kernel is to take this process and no other
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no part of the answer
    with os.fdopen(os.dup(0), encoding="utf-8") as questions:
        asked = json.loads(questions.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    json.dump(_answer(asked), answers)
    answers.close()


def _end_with_the_parent() -> None:
    """Nobody is left to read the answer; loader processes go too."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    _main()
