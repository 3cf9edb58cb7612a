"""WebDataset shards: tar files in which members of one pair share a name, `000123.jpg` with `000123.txt`.

Opening and grouping are webdataset's (local files, `pipe:`, http, gs, hf); the order, the splitting and what happens to
damaged files are ours, because webdataset can neither resume nor count what it skips, and Python's tarfile takes a
damaged header for the end of the file.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from PIL import Image
from webdataset import tariterators
from webdataset.gopen import gopen

from pgsclip.chance import derive
from pgsclip.data.batch import Fault
from pgsclip.data.source import Raw, Slot
from pgsclip.errors import DataError

IMAGES = ("jpg", "jpeg", "png", "webp")
_CAPTIONS = ("txt", "json")


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
                f"({', '.join(IMAGES)}) and a caption (txt, or json with a 'caption') next to each other in one tar, "
                f"of the same name up to its first dot."
            )
        self.description = f"{self.size:,} pairs in {len(urls):,} shard{'s' if len(urls) > 1 else ''}"

    def read(self, slot: Slot, skip: int = 0) -> Iterator[Raw | Fault]:
        """The shards of one worker in one pass: a random order of all, dealt out in turn."""
        order = list(self._urls)
        random.Random(derive(slot.seed, "shards", slot.epoch)).shuffle(order)
        for url in order[slot.number :: slot.count]:
            slot.note(url)
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
    for sample in tariterators.group_by_keys(_members(url, faults), handler=note):
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
        with tarfile.open(path, "r:*") as tar:
            names += (tariterators.base_plus_ext(member.name) for member in tar if _is_wanted(member))
    except (tarfile.ReadError, EOFError, ValueError) as error:
        if not names:
            reason = str(error).partition(":")[0] if path.stat().st_size else "it is empty"
            raise DataError(
                f"{url} is not a readable tar: {reason}. Repair it, or leave it out of the data pattern."
            ) from None
        # a truncated tar: what is readable is counted here and the loss is reported while reading
    except OSError as error:
        raise DataError(f"The shard {url} cannot be opened: {error.strerror or error}.") from None
    found = ({extension.lower() for _, extension in members} for _, members in groupby(names, itemgetter(0)))
    return sum(1 for kinds in found if kinds & {*IMAGES} and kinds & {*_CAPTIONS})


class _Header(tarfile.TarInfo):
    """Tells a damaged or missing header from the regular end; tarfile itself stops in silence at either."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed leaves it out
            raise
        except tarfile.HeaderError as error:
            if tar.offset == 0:
                raise
            raise tarfile.ReadError(f"{error} at byte {tar.offset}") from None


def _members(url: str, faults: list[Fault]) -> Iterator[dict[str, Any]]:
    """The images and captions of one tar in order; what ends it too early goes to `faults`."""
    try:
        with closing(_stream(url)) as stream:  # closing a pipe raises when its command failed
            yield from _unpacked(url, stream)
    except FileNotFoundError as error:
        faults.append(Fault("missing shard", url, "", str(error)))
    except tarfile.ReadError as error:
        faults.append(Fault(_damage(str(error)), url, "", str(error)))
    except (OSError, ValueError, EOFError) as error:
        faults.append(Fault("unreadable shard", url, "", f"{type(error).__name__}: {error}"))


def _unpacked(url: str, stream: Any) -> Iterator[dict[str, Any]]:
    damage = None
    try:
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
            for member in tar:
                if _is_wanted(member) and (content := tar.extractfile(member)):
                    yield {"fname": member.name, "data": content.read(), "__url__": url}
                tar.members = []  # type: ignore[attr-defined]  # it would remember them all
    except tarfile.ReadError as error:
        damage = error
    while stream.read(1 << 20):  # to the end, because a command that is cut off counts as failed
        pass
    if damage is not None:
        raise damage


def _stream(url: str) -> Any:
    return Path(url).open("rb") if Path(url).exists() else gopen(url)


def _damage(message: str) -> str:
    if message == "empty file":
        return "empty tar"
    if "unexpected end" in message or message.startswith(("empty header", "truncated header at")):
        return "truncated tar"
    return "damaged tar" if " at byte " in message or "subsequent header" in message else "not a tar"


def _pair(url: str, sample: dict[str, Any]) -> Raw | Fault:
    key = str(sample["__key__"])
    kind = next((extension for extension in IMAGES if extension in sample), None)
    if kind is None and not any(extension in sample for extension in _CAPTIONS):
        others = ", ".join(sorted(name for name in sample if not name.startswith("__")))
        return Fault("no image and no caption", url, key, f"only {others}; a name ends at its first dot")
    if kind is None:
        return Fault("caption without image", url, key)
    caption = _caption(sample)
    if caption is None:
        return Fault("image without caption", url, key)
    if not caption.strip():
        return Fault("empty caption", url, key)
    return Raw(url, key, caption.strip(), partial(open_bytes, sample[kind]), f"{key}.{kind}")


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


def open_bytes(content: bytes) -> Image.Image:
    """Of an encoded file; may raise what Pillow raises."""
    return Image.open(io.BytesIO(content))


def _is_wanted(member: tarfile.TarInfo) -> bool:
    _, extension = tariterators.base_plus_ext(member.name)  # none for hidden files
    return member.isreg() and (extension or "").rpartition(".")[2].lower() in (*IMAGES, *_CAPTIONS)
