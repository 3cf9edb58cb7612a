"""From pairs as people have them to shards as training wants them: side by side, and going on where it was broken off.

A shard is made of the pairs of a range of numbers, by itself, under a temporary name. `make.json` in the folder says
what was asked for and which shards are done, so that the same command goes on and another one is refused.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pgsclip.config.schema import DataConfig
from pgsclip.data.arrow import is_arrow, open_arrow
from pgsclip.data.image_files import FileSource
from pgsclip.data.index import write_index
from pgsclip.data.shard_writer import NumberedPairs, ShardOptions, write_shard
from pgsclip.data.spec import open_source, shard_urls
from pgsclip.data.stall_guard import init_worker
from pgsclip.errors import DataError
from pgsclip.files import write_atomically
from pgsclip.seeding import derive

_PLAN = "make.json"


@dataclass
class ShardReport:
    """What came of it."""

    pairs: int = 0
    shards: int = 0
    kept: int = 0
    """Shards that were there already."""
    refused: Counter[str] = field(default_factory=Counter)
    """NumberedPairs that are in no shard, by cause."""
    examples: dict[str, str] = field(default_factory=dict)


class Shard(NamedTuple):
    """One that is to be made."""

    name: str
    numbers: list[int]


def make_shards(
    source: str,
    out: Path,
    how: ShardOptions,
    *,
    config: DataConfig | None = None,
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ShardReport:
    """Make `train-*.tar` (and `val-*.tar`) in `out`, and the index beside them.

    Args:
        source: a folder of images with captions beside them, a CSV or TSV, or a Hugging Face dataset on disk.
        config: the columns of a table or dataset.

    Raises:
        DataError: the source is none of these, `out` was made from something else, or no pair can be used.
    """
    pairs = open_pairs(source, config or DataConfig())
    shards = plan(pairs.size, how)
    asked = {"source": source, "pairs": pairs.size, **asdict(how)}
    done = _begin(out, asked)
    made = ShardReport(kept=len(done))
    todo = [shard for shard in shards if shard.name not in done]
    with _worker(pairs, out, how, jobs, len(todo)) as work:
        for shard, report in zip(todo, work(todo), strict=True):
            done[shard.name] = report
            _note(out, asked, done)
            on_progress(len(done), len(shards))
    for report in done.values():
        made.pairs += report["pairs"]
        made.shards += report["pairs"] > 0
        made.refused.update(report["refused"])
        made.examples = {**report["examples"], **made.examples}
    if made.pairs == 0:
        raise DataError(f"None of the {pairs.size} pairs in {source} can be used: {causes(made)}.")
    write_index([str(out / name) for name, report in done.items() if report["pairs"]])
    return made


def open_pairs(source: str, config: DataConfig) -> NumberedPairs:
    """The pairs of what shards can be made from.

    Raises:
        DataError: it is something else.
    """
    if is_arrow(Path(source)):
        return open_arrow(Path(source), config.image_key, config.caption_key)
    path = Path(source)
    found = open_source(source, config) if path.is_file() or (path.is_dir() and not shard_urls(source)) else None
    if not isinstance(found, FileSource):
        raise DataError(
            f"Shards cannot be made from {source!r}. Give a folder of images with captions beside them, a CSV or TSV, "
            f"or a Hugging Face dataset on disk (save_to_disk or parquet)."
        )
    return found


def plan(size: int, how: ShardOptions) -> list[Shard]:
    """Which pairs go where.

    Raises:
        DataError: nothing would be left to train on.
    """
    if how.held_out >= size:
        raise DataError(f"--held-out {how.held_out} leaves nothing of {size} pairs to train on; give fewer.")
    order = list(range(size))
    if how.shuffle:
        random.Random(derive(0, "make", size)).shuffle(order)
    parts = (("val", order[: how.held_out]), ("train", order[how.held_out :]))
    return [
        Shard(f"{name}-{start // how.per_shard:05d}.tar", numbers[start : start + how.per_shard])
        for name, numbers in parts
        for start in range(0, len(numbers), how.per_shard)
    ]


_AT_WORK: list[Any] = []
"""What a worker process was started with."""


def _start(pairs: NumberedPairs, out: Path, how: ShardOptions) -> None:
    init_worker(0)
    _AT_WORK[:] = [pairs, out, how]


def _make(shard: Shard) -> dict[str, Any]:
    pairs, out, how = _AT_WORK
    return write_shard(pairs, out / shard.name, shard.numbers, how)


@contextmanager
def _worker(
    pairs: NumberedPairs, out: Path, how: ShardOptions, jobs: int | None, shards: int
) -> Iterator[Callable[[list[Shard]], Iterator[dict[str, Any]]]]:
    at_once = min(jobs or os.cpu_count() or 1, shards)
    if at_once <= 1:
        yield lambda todo: (write_shard(pairs, out / one.name, one.numbers, how) for one in todo)
        return
    with ProcessPoolExecutor(at_once, initializer=_start, initargs=(pairs, out, how)) as pool:
        yield lambda todo: pool.map(_make, todo)


def _begin(out: Path, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The shards that are done already."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        found = json.loads((out / _PLAN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(out.glob("*.tar")):
            raise DataError(f"There are tars in {out} that this command did not make; give another folder.") from None
        _note(out, asked, {})
        return {}
    except ValueError:
        raise DataError(f"{out / _PLAN} cannot be read; give another folder, or delete {out}.") from None
    before = found.get("asked", {})
    if before != asked:
        changed = ", ".join(
            f"{key} was {before.get(key)!r}, now {asked[key]!r}" for key in asked if before.get(key) != asked[key]
        )
        raise DataError(f"The shards in {out} were made otherwise ({changed}); give another folder, or delete it.")
    return {name: report for name, report in found["shards"].items() if not report["pairs"] or (out / name).exists()}


def _note(out: Path, asked: dict[str, Any], done: dict[str, dict[str, Any]]) -> None:
    write_atomically(out / _PLAN, json.dumps({"asked": asked, "shards": done}, indent=1) + "\n")


def causes(made: ShardReport) -> str:
    """Why pairs were refused, the most frequent cause first."""
    return ", ".join(
        f"{count:,} x {cause} (first: {made.examples[cause]})" for cause, count in made.refused.most_common()
    )
