"""NumberedPairs into one tar: images as they are where that will do, scaled and written anew where it will not."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from PIL import Image, ImageOps

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import try_decode
from pgsclip.data.image_file import format_of
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import is_see_through, to_rgb, upright_size
from pgsclip.files import atomic_path

_KEPT_AS_THEY_ARE = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


@dataclass(frozen=True)
class ShardOptions:
    """How shards are made."""

    side: int | None = None
    """Larger images are scaled until their shorter side (with `pad`, the longer) has so many pixels; none when None."""
    pad: bool = False
    """Lay every image whole on a square of that side; nothing is then lost to a square crop."""
    quality: int = 90
    """Of the JPEGs that are written; images that need no change stay as they are."""
    per_shard: int = 1000
    """NumberedPairs a shard is made from."""
    held_out: int = 0
    """NumberedPairs that go to `val-*.tar`, which training evaluates on."""
    shuffle: bool = False
    """Deal the pairs out in a random order, always the same one."""
    background: str = BACKGROUND
    """Colour where an image is see-through, and around a padded one."""


@runtime_checkable
class NumberedPairs(Protocol):
    """NumberedPairs that are reached by number, in any order."""

    size: int

    def pair(self, index: int) -> Raw | Fault: ...


def write_shard(pairs: NumberedPairs, path: Path, numbers: list[int], how: ShardOptions) -> dict[str, Any]:
    """Write one tar, whole or not at all, and none when no pair can be used; how many pairs, and why not the others."""
    report: dict[str, Any] = {"pairs": 0, "refused": Counter[str](), "examples": {}}
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
        for number in numbers:
            item = pairs.pair(number)
            image = item if isinstance(item, Fault) else try_decode(item, lambda opener: _encoded(opener, how))
            if isinstance(image, Fault):
                report["refused"][image.cause] += 1
                report["examples"].setdefault(image.cause, f"{image.key} {image.detail}".strip())
                continue
            assert isinstance(item, Raw)
            kind, content = image
            for name, data in ((f"{number:09d}.{kind}", content), (f"{number:09d}.txt", item.caption.encode())):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            report["pairs"] += 1
        if not report["pairs"]:
            temporary.unlink()
    return report


def _encoded(open_picture: Callable[[], Image.Image], how: ShardOptions) -> tuple[str, bytes]:
    """Ending and content of the file that goes into the tar."""
    with open_picture() as picture:
        kind = _KEPT_AS_THEY_ARE.get(format_of(picture))
        length = (max if how.pad else min)(upright_size(picture))
        see_through = is_see_through(picture)
        file: IO[bytes] = picture.fp  # type: ignore[attr-defined]  # not typed, but documented
        file.seek(0)
        content = file.read()
    with open_picture() as picture:
        image = to_rgb(picture, how.background)  # also what stays must be whole
    if kind and not see_through and not how.pad and (how.side is None or length <= how.side):
        return kind, content
    if how.side is not None and length > how.side:
        size = [max(1, round(one * how.side / length)) for one in image.size]
        image = image.resize(size, Image.Resampling.LANCZOS)
    if how.pad:
        image = ImageOps.pad(image, (max(image.size),) * 2, color=how.background)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=how.quality)
    return "jpg", written.getvalue()
