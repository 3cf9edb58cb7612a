"""How many pairs each shard holds, counted once and kept beside the shards.

The file is OpenCLIP's: `sizes.json` in the folder of the shards, name of the tar → number of pairs. So what others
wrote is read here, and what is written here is read by OpenCLIP's training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pgsclip.data.shards import count_pairs, read_shard
from pgsclip.data.source import Raw
from pgsclip.errors import DataError
from pgsclip.files import write_atomically

INDEX = "sizes.json"
_AT_ONCE = 8


class IndexReport(NamedTuple):
    """What was counted."""

    pairs: int
    shards: int
    files: list[Path]
    """The index of each folder; none for shards that do not lie in files."""


def count_all(urls: Iterable[str]) -> int:
    """Pairs in all shards; from the index where it knows a shard and is not older than it, else from the headers.

    Raises:
        DataError: a shard that is not in an index is remote, missing or no tar.
    """
    known: dict[Path, dict[str, int]] = {}
    total = 0
    for url in urls:
        path = Path(url.removeprefix("file:"))
        if path.parent not in known:
            known[path.parent] = read_index(path.parent)
        count = known[path.parent].get(path.name)
        total += count_pairs(url) if count is None else count
    return total


def read_index(folder: Path) -> dict[str, int]:
    """Tar → pairs, of the tars in a folder that were not changed since; empty where there is no index."""
    index = folder / INDEX
    try:
        written = index.stat().st_mtime_ns
        found = json.loads(index.read_text(encoding="utf-8")).items()
    except (OSError, ValueError, AttributeError):
        return {}
    counts = {name: count for name, count in found if type(count) is int and count >= 0}
    return {name: count for name, count in counts.items() if _unchanged(folder / name, written)}


def write_index(urls: list[str], on_progress: Callable[[int, int], None] = lambda done, total: None) -> IndexReport:
    """Count every shard anew and write the index of each folder; what it says of other shards stays.

    A shard that is no file here is read from start to end, and has no index.

    Raises:
        DataError: a shard is no tar, or an index cannot be written.
    """
    counts: dict[str, int] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for url, count in zip(urls, pool.map(_count, urls), strict=True):
            counts[url] = count
            on_progress(len(counts), len(urls))
    folders: dict[Path, dict[str, int]] = {}
    for url, count in counts.items():
        if (path := _file(url)) is not None:
            folders.setdefault(path.parent, {})[path.name] = count
    for folder, sizes in folders.items():
        known = {name: count for name, count in read_index(folder).items() if name not in sizes}
        try:
            write_atomically(folder / INDEX, json.dumps(dict(sorted({**known, **sizes}.items())), indent=1) + "\n")
        except OSError as error:
            raise DataError(
                f"The index {folder / INDEX} cannot be written: {error.strerror}. The shards hold "
                f"{sum(counts.values())} pairs; give that number with --set data.samples={sum(counts.values())}."
            ) from None
    return IndexReport(sum(counts.values()), len(counts), [folder / INDEX for folder in folders])


def _count(url: str) -> int:
    return count_pairs(url) if _file(url) else sum(isinstance(item, Raw) for item in read_shard(url))


def _file(url: str) -> Path | None:
    path = Path(url.removeprefix("file:"))
    return path if path.exists() else None


def _unchanged(path: Path, since: int) -> bool:
    return path.exists() and path.stat().st_mtime_ns <= since
