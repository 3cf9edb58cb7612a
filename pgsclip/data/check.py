"""All that `pgsclip data check` finds in training data: what is there, what is damaged, what comes twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import decode_pair
from pgsclip.data.duplicate_captions import DuplicateCaptions
from pgsclip.data.eval_images import digest, read_eval_images
from pgsclip.data.generated import GeneratedSource
from pgsclip.data.image_file import open_image
from pgsclip.data.loading import loader_workers
from pgsclip.data.near_duplicates import LENGTH, Fingerprints, duplicate_groups, find_matches, fingerprint
from pgsclip.data.shard_stats import CountTokens, ShardStats, collect_stats, open_clip_tokens
from pgsclip.data.shards import read_shard
from pgsclip.data.source import Raw
from pgsclip.data.spec import open_source, shard_urls
from pgsclip.data.stall_guard import init_worker
from pgsclip.errors import DataError

OnProgress = Callable[[int, int], None]
"""Told how much is done, of how much."""


class Leak(NamedTuple):
    """An image that is evaluated on and trained on."""

    evaluated: str
    trained: tuple[str, ...]
    """The training images that show it, each `shard: member`."""
    same_file: bool
    """Whether one of them is the same to the byte; else they are alike."""


@dataclass
class Overlap:
    """What one evaluation set shares with the training data."""

    images: int = 0
    unreadable: int = 0
    seen: list[Leak] = field(default_factory=list)


@dataclass
class Check:
    """The whole finding."""

    spec: str
    shards: int | None
    """None for a table or a folder of images."""
    pairs: int = 0
    fewest: int = 0
    most: int = 0
    """Pairs in the smallest and the largest shard."""
    faults: list[Fault] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)
    """Those that stand in more than one pair, with how often."""
    duplicates: list[list[str]] = field(default_factory=list)
    """Groups of images that are the same or alike, each `shard: member`; the largest first."""
    overlaps: dict[str, Overlap] = field(default_factory=dict)
    loaders: str = ""
    """How many loader processes the shards can feed."""
    starving: str = ""
    """The sentence that training would stop with, because a loader process would have no shard."""

    @property
    def sound(self) -> bool:
        """Whether all of it can be trained on, and nothing of it is evaluated on."""
        return not self.faults and not self.starving and not any(one.seen for one in self.overlaps.values())


def check_data(
    spec: str,
    *,
    eval_root: Path | None = None,
    config: DataConfig | None = None,
    ranks: int = 1,
    jobs: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> Check:
    """Read everything once.

    Args:
        eval_root: a folder of evaluation sets that training must not have seen.
        config: its loader workers and the columns of a table.
        ranks: training processes that will share the shards.
        jobs: shards that are read at once; one for each core when None.

    Raises:
        DataError: the spec names nothing, or nothing that lies in files; a set under `eval_root` is unreadable.
    """
    config = config or DataConfig()
    shards = shard_urls(spec)
    found = Check(spec, len(shards) or None)
    repeats = DuplicateCaptions()
    all_stats = []
    for one in _stats_of_shards(spec, shards, config, jobs, on_progress):
        all_stats.append(one)
        found.faults += one.faults
        for mine, other in ((found.sizes, one.sizes), (found.formats, one.formats), (found.tokens, one.tokens)):
            mine.update(other)  # type: ignore[arg-type]
        repeats.add(one.captions)
        one.captions.clear()  # there may be millions
    found.captions = repeats.counts
    counts = [one.usable for one in all_stats]
    found.pairs, found.fewest, found.most = sum(counts), min(counts), max(counts)
    names = [f"{one.shard}: {member}" for one in all_stats for member in one.members]
    prints = np.concatenate([one.fingerprints for one in all_stats])
    found.duplicates = [[names[number] for number in group.tolist()] for group in duplicate_groups(prints)]
    if eval_root is not None:
        digests = {content for one in all_stats for content in one.digests}
        found.overlaps = _overlaps(eval_root, names, digests, prints)
    try:
        found.loaders = _describe_workers(len(shards), found.pairs, config, ranks)
    except DataError as error:
        found.starving = str(error)
    return found


def _describe_workers(shards: int, pairs: int, config: DataConfig, ranks: int) -> str:
    """Say how many loader workers the data can feed.

    Raises:
        DataError: one of those that are wanted would have nothing to read.
    """
    workers = loader_workers(shards or pairs, config, ranks)
    if not shards:
        return "files feed any number of loader workers"
    return (
        f"{shards:,} shards feed up to {shards // ranks:,} loader workers in each of {ranks} training "
        f"process{'es' if ranks > 1 else ''}; training here takes {workers}"
    )


def _stats_of_shards(
    spec: str, shards: list[str], config: DataConfig, jobs: int | None, on_progress: OnProgress
) -> Iterator[ShardStats]:
    if not shards:
        source = open_source(spec, config)
        if isinstance(source, GeneratedSource):
            raise DataError(f"The pairs of {spec!r} are made while training; there is nothing to check.")
        yield collect_stats(spec, _counted(source.read_all(), source.size, on_progress), open_clip_tokens())
        return
    at_once = min(jobs or os.cpu_count() or 1, len(shards))
    if at_once == 1:
        count_tokens = open_clip_tokens()
        for number, url in enumerate(shards):
            yield collect_stats(url, read_shard(url), count_tokens)
            on_progress(number + 1, len(shards))
        return
    with ProcessPoolExecutor(at_once, initializer=init_worker, initargs=(0,)) as pool:
        collect = partial(_collect, count_tokens=open_clip_tokens())
        for number, stats in enumerate(pool.map(collect, shards)):
            yield stats
            on_progress(number + 1, len(shards))


def _collect(url: str, count_tokens: CountTokens) -> ShardStats:
    return collect_stats(url, read_shard(url), count_tokens)


def _counted(items: Iterator[Raw | Fault], size: int, on_progress: OnProgress) -> Iterator[Raw | Fault]:
    for number, item in enumerate(items):
        yield item
        on_progress(number + 1, size)


def _overlaps(root: Path, names: list[str], digests: set[bytes], prints: Fingerprints) -> dict[str, Overlap]:
    found: dict[str, Overlap] = {}
    places, marks = [], []
    for image in read_eval_images(root):
        overlap = found.setdefault(image.set, Overlap())
        overlap.images += 1
        raw = Raw(image.set, image.place, "", partial(open_image, image.content))
        picture = decode_pair(raw)
        if isinstance(picture, Fault):
            overlap.unreadable += 1
            continue
        places.append((image._replace(content=b""), digest(image.content)))
        marks.append(fingerprint(picture))
    near = find_matches(np.stack(marks) if marks else np.zeros((0, LENGTH), np.uint8), prints)
    for (image, content), numbers in zip(places, near, strict=True):
        trained = tuple(names[number] for number in numbers.tolist())
        if trained:
            found[image.set].seen.append(Leak(image.place, trained, content in digests))
    return found
