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
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from pgsclip.benchmarks.timing import seconds_in_turns
from pgsclip.errors import DataError, RunError
from pgsclip.evaluation.layouts import places

OURS, THEIRS = "pgsclip eval", "clip_benchmark eval"
_LATE_ERROR = "only 0-dimensional arrays can be converted"
"""What clip_benchmark 1.6.2 says after all its work when numpy is 2.4 or newer: it converts an array in `accuracy`."""


@dataclass(frozen=True)
class EvalCost:
    """One command: medians of wall clock and processor time, and both as a share of clip_benchmark's."""

    name: str
    seconds: float
    ratio: float
    cpu_seconds: float
    cpu_ratio: float


def bench_eval(
    model: Path,
    dataset: str,
    root: Path,
    *,
    batch_size: int,
    repeats: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[EvalCost]:
    """Time both on one set.

    Args:
        model: a folder that open_clip loads as `local-dir:`.
        dataset: such as `wds/clipart`, in clip-benchmark's layout.
        root: where its folder lies.
        repeats: timed rounds; one more warms the disk up.

    Raises:
        DataError: the set is not there. RunError: one of the commands fails.
    """
    looked = places(dataset, root)
    folder = next((place for place in looked if place.is_dir()), None)
    if folder is None:
        raise DataError(
            f"The set {dataset} is not there; looked in {' and '.join(map(str, looked))}. "
            f"Give the folder that it lies in with --eval-root."
        )
    name = f"local-dir:{model.resolve()}"
    used: dict[str, list[float]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as place:

        def ours() -> None:
            results = tempfile.mkdtemp(dir=place)  # what was computed before would be skipped
            given = {
                "datasets": dataset,
                "eval-root": str(root.resolve()),
                "batch-size": str(batch_size),
                "precision": "fp32",  # as --no_amp below
                "out": results,
            }
            _run(["-m", "pgsclip", "eval", "zeroshot", name, *_options(given)], used[OURS])

        def theirs() -> None:
            given = {
                "model": name,
                "pretrained": "",
                "dataset": dataset,
                "dataset_root": str(folder.resolve()),
                "task": "zeroshot_classification",
                "batch_size": str(batch_size),
                "num_workers": "1",
                "output": str(Path(place, "theirs.json")),
            }
            _run(["-m", "clip_benchmark.cli", "eval", "--no_amp", *_options(given)], used[THEIRS])

        times = seconds_in_turns({OURS: ours, THEIRS: theirs}, repeats, progress=progress)
    wall = {name: median(took) for name, took in times.items()}
    cpu = {name: median(took[1:]) for name, took in used.items()}
    return [EvalCost(name, wall[name], wall[name] / wall[THEIRS], cpu[name], cpu[name] / cpu[THEIRS]) for name in wall]


def as_json(costs: list[EvalCost]) -> list[dict[str, object]]:
    """For `--json`."""
    return [asdict(cost) for cost in costs]


def _options(given: Mapping[str, str]) -> list[str]:
    return [word for key, value in given.items() for word in (f"--{key}", value)]


def _run(words: Sequence[str], used: list[float]) -> None:
    before = _processor_seconds()
    calm = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=calm)  # noqa: S603 - our own words
    if done.returncode != 0 and _LATE_ERROR not in done.stderr:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[-1]
        raise RunError(f"`{' '.join(words[1:3])}` ended with {done.returncode}: {last}")
    used.append(_processor_seconds() - before)


def _processor_seconds() -> float:
    """Of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
