"""WebDataset shards: tar files in which members of one pair share a name, `000123.jpg` with `000123.txt`.

Reading is webdataset's (local files, `pipe:`, http, s3); the order, the splitting and what happens to damaged files are
ours, because webdataset can neither resume nor count what it skips.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image
from webdataset import tariterators

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
                f"({', '.join(IMAGES)}) and a caption (txt, or json with a 'caption') of the same name in one tar."
            )
        self.description = f"{self.size:,} pairs in {len(urls):,} shard{'s' if len(urls) > 1 else ''}"

    def read(self, slot: Slot, skip: int = 0) -> Iterator[Raw | Fault]:
        """The shards of one worker in one pass: a random order of all, dealt out in turn."""
        order = list(self._urls)
        random.Random(derive(slot.seed, "shards", slot.epoch)).shuffle(order)
        for url in order[slot.number :: slot.count]:
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
    try:
        opened = tariterators.url_opener([{"url": url}], handler=_raise)
        members = tariterators.tar_file_expander(opened, handler=_raise, select_files=_is_wanted)
        for sample in tariterators.group_by_keys(members, handler=_raise):
            yield _pair(url, sample)
    except tarfile.ReadError as error:
        cause = "truncated tar" if "unexpected end" in str(error) else "not a tar"
        yield Fault(cause, url, "", str(error))
    except (OSError, ValueError, EOFError) as error:
        yield Fault("unreadable shard", url, "", f"{type(error).__name__}: {error}")


def count_pairs(url: str) -> int:
    """Pairs in a local tar, from its headers alone.

    Raises:
        DataError: the file is remote, missing or no tar.
    """
    path = Path(url.removeprefix("file:"))
    if ":" in url and not path.exists():
        raise DataError(
            f"The pairs of {url} cannot be counted without reading it; "
            f"say how many there are with --set data.samples=N."
        )
    images: set[str] = set()
    captions: set[str] = set()
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in tar:
                key, _, extension = member.name.rpartition("/")[2].partition(".")
                where = images if extension.lower() in IMAGES else captions if extension.lower() in _CAPTIONS else None
                if where is not None:
                    where.add(f"{member.name.rpartition('/')[0]}/{key}")
    except tarfile.ReadError as error:
        if "empty file" in str(error) or not images:
            raise DataError(
                f"{url} is not a readable tar: {error}. Repair it, or leave it out of the data pattern."
            ) from None
        # a truncated tar: what is readable is counted here and the loss is reported while reading
    except OSError as error:
        raise DataError(f"The shard {url} cannot be opened: {error.strerror or error}.") from None
    return len(images & captions)


def _pair(url: str, sample: dict[str, Any]) -> Raw | Fault:
    key = str(sample["__key__"])
    image = next((sample[extension] for extension in IMAGES if extension in sample), None)
    if image is None:
        return Fault("caption without image", url, key)
    caption = _caption(sample)
    if caption is None:
        return Fault("image without caption", url, key)
    if not caption.strip():
        return Fault("empty caption", url, key)
    return Raw(url, key, caption.strip(), partial(_open, image))


def _caption(sample: dict[str, Any]) -> str | None:
    if "txt" in sample:
        return bytes(sample["txt"]).decode("utf-8", errors="replace")
    if "json" in sample:
        try:
            content = json.loads(sample["json"])
        except ValueError:
            return None
        caption = content.get("caption") if isinstance(content, dict) else None
        return caption if isinstance(caption, str) else None
    return None


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def _is_wanted(name: str) -> bool:
    return name.rpartition(".")[2].lower() in (*IMAGES, *_CAPTIONS)


def _raise(error: Exception) -> NoReturn:
    raise error
