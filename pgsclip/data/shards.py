"""WebDataset shards: tar files in which members of one pair share a name, `000123.jpg` with `000123.txt`.

Grouping is webdataset's; the order, the splitting and what happens to damaged files are ours, because webdataset can
neither resume nor count what it skips.
"""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from webdataset import tariterators

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import ENDINGS, IMAGE_ENDINGS, open_image
from pgsclip.data.source import Raw, WorkerPass
from pgsclip.data.tar_members import CAPTIONS, is_wanted, member_names, members
from pgsclip.errors import DataError
from pgsclip.seeding import derive


class ShardSource:
    """Tar files, each read from start to end by one worker per pass."""

    shuffled = False

    def __init__(self, urls: list[str], size: int | None) -> None:
        self._urls = urls
        self.shards: int | None = len(urls)
        self.size = sum(count_pairs(url) for url in urls) if size is None else size
        if self.size == 0:
            raise DataError(
                f"There are no pairs in {urls[0]}{' and the others' if len(urls) > 1 else ''}: a pair is an image "
                f"(jpg, png, webp or another of {', '.join(ENDINGS)}) and a caption (txt, or json with a 'caption') "
                f"next to each other in one tar, of the same name up to its first dot."
            )
        self.description = f"{self.size:,} pairs in {len(urls):,} shard{'s' if len(urls) > 1 else ''}"

    def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw | Fault]:
        """The shards of one worker in one pass: a random order of all, dealt out in turn."""
        order = list(self._urls)
        random.Random(derive(work.seed, "shards", work.epoch)).shuffle(order)
        for url in order[work.number :: work.count]:
            work.on_shard(url)
            for item in read_shard(url):
                if skip > 0:
                    skip -= 1
                else:
                    yield item

    def read_all(self) -> Iterator[Raw | Fault]:
        """Every pair once, shard by shard."""
        for url in self._urls:
            yield from read_shard(url)


def read_shard(url: str) -> Iterator[Raw | Fault]:
    """The pairs of one tar; whatever is wrong with it comes as a Fault, after the pairs before it."""
    faults: list[Fault] = []

    def note(error: Exception) -> bool:
        faults.append(Fault("name used twice", url, "", str(error.args[0])))
        return True

    found = False
    for sample in tariterators.group_by_keys(members(url, faults), handler=note):
        found = True
        yield _pair(url, sample)
    yield from faults
    if not found and not faults:
        yield Fault("tar without pairs", url, "")


def count_pairs(url: str) -> int:
    """Pairs in a local tar, from its headers alone.

    Raises:
        DataError: the file is remote, missing or no tar.
    """
    path = Path(url.removeprefix("file:"))
    if ":" in url and not path.exists():
        raise DataError(
            f"The pairs of {url} cannot be counted without reading it; "
            f"say how many there are with --set data.samples=N (`pgsclip data index` reads and counts them)."
        )
    names: list[tuple[str, str]] = []
    try:
        for name in member_names(path):
            if is_wanted(name):
                names.append(tariterators.base_plus_ext(name))
    except (tarfile.ReadError, EOFError, ValueError) as error:
        if not names:
            reason = str(error).partition(":")[0] if path.stat().st_size else "it is empty"
            raise DataError(
                f"{url} is not a readable tar: {reason}. Repair it, or leave it out of the data pattern."
            ) from None
        # a truncated tar: what is readable is counted here and the loss is reported while reading
    except OSError as error:
        raise DataError(f"The shard {url} cannot be opened: {error.strerror or error}.") from None
    found = ({extension.lower() for _, extension in pair} for _, pair in groupby(names, itemgetter(0)))
    return sum(1 for kinds in found if kinds & {*IMAGE_ENDINGS} and kinds & {*CAPTIONS})


def _pair(url: str, sample: dict[str, Any]) -> Raw | Fault:
    key = str(sample["__key__"])
    kind = next((extension for extension in IMAGE_ENDINGS if extension in sample), None)
    if kind is None and not any(extension in sample for extension in CAPTIONS):
        others = ", ".join(sorted(name for name in sample if not name.startswith("__")))
        return Fault("no image and no caption", url, key, f"only {others}; a name ends at its first dot")
    if kind is None:
        return Fault("caption without image", url, key)
    caption = _caption(sample)
    if caption is None:
        return Fault("image without caption", url, key)
    if not caption.strip():
        return Fault("empty caption", url, key)
    return Raw(url, key, caption.strip(), partial(open_image, sample[kind]), f"{key}.{kind}")


def _caption(sample: dict[str, Any]) -> str | None:
    if "txt" in sample:
        return bytes(sample["txt"]).decode("utf-8-sig", errors="replace")
    if "json" in sample:
        try:
            content = json.loads(sample["json"])
        except (ValueError, RecursionError):
            return None
        caption = content.get("caption") if isinstance(content, dict) else None
        return caption if isinstance(caption, str) else None
    return None
