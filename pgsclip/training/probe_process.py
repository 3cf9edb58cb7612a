"""`probe` in a process of its own: its peak of memory is the steps' alone, and what kills it kills nothing else.

JSON goes in and comes out; `python -m pgsclip.training.probe_process` is the other end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.errors import PgsclipError, TrainingError
from pgsclip.training.distributed import leave
from pgsclip.training.memory import DoesNotFitError, enough_memory
from pgsclip.training.probe import Probed, probe

_MINUTES = 30
"""After which a probe is given up."""
_OF_LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def probe_apart(config: RunConfig, phase: int, *, only_memory: bool = False) -> Probed:
    """What `probe` finds.

    Raises:
        DoesNotFitError: the process ran out of memory.
        TrainingError: the steps stop with a sentence or the process dies; the message says which.
    """
    asked = {"config": config.model_dump(mode="json"), "phase": phase, "only_memory": only_memory}
    variables = {name: value for name, value in os.environ.items() if name not in _OF_LAUNCHERS}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # plugins are found as here
    command = [sys.executable, "-m", "pgsclip.training.probe_process"]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=60 * _MINUTES, env=variables
        )
    except subprocess.TimeoutExpired:
        raise TrainingError(f"The steps that were to be measured took longer than {_MINUTES} minutes.") from None
    return _read(done)


def _read(done: subprocess.CompletedProcess[str]) -> Probed:
    with suppress(ValueError):
        answer = json.loads(done.stdout)
        if "found" in answer:
            return Probed(**answer["found"])
        raise (TrainingError if answer["fits"] else DoesNotFitError)(answer["sentence"])
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
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
    json.dump(_answer(json.load(sys.stdin)), answers)
    answers.close()


if __name__ == "__main__":
    _main()
