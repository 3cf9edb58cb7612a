"""`pgsclip bench eval`: a whole zero-shot evaluation beside `clip_benchmark eval`, command against command.

Both are processes of their own on the same weights, set, batch size and number of threads, and take turns.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pgsclip.benchmarks.timing import time_in_turns
from pgsclip.errors import DataError, RunError
from pgsclip.evaluation.layouts import places

OURS, THEIRS = "pgsclip eval", "clip_benchmark eval"
_LATE_ERROR = "only 0-dimensional arrays can be converted"
"""Error with which clip_benchmark 1.6.2 ends, all work done, where numpy is 2.4 or newer (an array in `accuracy`)."""


@dataclass(frozen=True)
class EvalCost:
    """Cost of one command, medians over rounds."""

    name: str
    seconds: float
    """Seconds on the clock."""
    ratio: float
    """Share of clip_benchmark's seconds."""
    cpu_seconds: float
    """Seconds of all processors together."""
    cpu_ratio: float
    """Share of clip_benchmark's processor seconds."""


def bench_eval(
    model: Path,
    dataset: str,
    root: Path,
    *,
    batch_size: int,
    repeats: int,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[EvalCost]:
    """Time both commands on one set.

    Args:
        model: a folder that open_clip loads as `local-dir:`.
        dataset: such as `wds/clipart`, in clip-benchmark's layout.
        root: the folder that its folder lies in.
        repeats: timed rounds; one more warms the disk up.

    Raises:
        DataError: the set is not there. RunError: one of the commands fails.
    """
    folder = _find_set(dataset, root)
    name = f"local-dir:{model.resolve()}"
    cpu: dict[str, list[float]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as place:

        def run_ours() -> None:
            results = Path(tempfile.mkdtemp(dir=place))  # a new one, as known results would be skipped
            cpu[OURS].append(_run(_our_command(name, dataset, root, batch_size, results)))

        def run_theirs() -> None:
            cpu[THEIRS].append(_run(_their_command(name, dataset, folder, batch_size, Path(place))))

        times = time_in_turns({OURS: run_ours, THEIRS: run_theirs}, repeats, on_progress=on_progress)
    wall = {way: median(took) for way, took in times.items()}
    used = {way: median(took[1:]) for way, took in cpu.items()}
    return [EvalCost(way, wall[way], wall[way] / wall[THEIRS], used[way], used[way] / used[THEIRS]) for way in wall]


def _find_set(dataset: str, root: Path) -> Path:
    looked = places(dataset, root)
    folder = next((place for place in looked if place.is_dir()), None)
    if folder is None:
        raise DataError(
            f"The set {dataset} is not there; looked in {' and '.join(map(str, looked))}. "
            f"Give the folder that it lies in with --eval-root."
        )
    return folder


def _our_command(model: str, dataset: str, root: Path, batch_size: int, results: Path) -> list[str]:
    options = {
        "datasets": dataset,
        "eval-root": str(root.resolve()),
        "batch-size": str(batch_size),
        "precision": "fp32",  # as --no_amp of theirs
        "out": str(results),
    }
    return ["-m", "pgsclip", "eval", "zeroshot", model, *_options(options)]


def _their_command(model: str, dataset: str, folder: Path, batch_size: int, place: Path) -> list[str]:
    options = {
        "model": model,
        "pretrained": "",
        "dataset": dataset,
        "dataset_root": str(folder.resolve()),
        "task": "zeroshot_classification",
        "batch_size": str(batch_size),
        "num_workers": "1",
        "output": str(place / "theirs.json"),
    }
    return ["-m", "clip_benchmark.cli", "eval", "--no_amp", *_options(options)]


def _options(given: Mapping[str, str]) -> list[str]:
    return [word for key, value in given.items() for word in (f"--{key}", value)]


def _run(words: Sequence[str]) -> float:
    """Run Python with these words; return the processor seconds that it took."""
    before = _processor_seconds()
    calm = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=calm)  # noqa: S603 - our own words
    if done.returncode != 0 and _LATE_ERROR not in done.stderr:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[-1]
        raise RunError(f"`{' '.join(words[1:3])}` ended with {done.returncode}: {last}")
    return _processor_seconds() - before


def _processor_seconds() -> float:
    """Processor time of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
