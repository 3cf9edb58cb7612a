"""One look at every pair of a shard: what it is, what it weighs, what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO

import numpy as np
from PIL import Image

from pgsclip.data.batch import Fault
from pgsclip.data.decoding import try_decode
from pgsclip.data.eval_images import digest
from pgsclip.data.image_file import format_of
from pgsclip.data.near_duplicates import LENGTH, Fingerprint, Fingerprints, fingerprint
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import to_rgb, upright_size

CountTokens = Callable[[str], int]
"""Tokens of a caption, start and end of text included, without any cut."""


@dataclass
class ShardStats:
    """What one shard (or a whole folder or table) holds."""

    shard: str
    usable: int = 0
    """Pairs that training would read."""
    faults: list[Fault] = field(default_factory=list)
    """Everything else; keys are the names of members where the pair is known."""
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Upright width and height in pixels."""
    formats: Counter[str] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)
    members: list[str] = field(default_factory=list)
    """Names of the usable images, as long as the two that follow."""
    digests: list[bytes] = field(default_factory=list)
    fingerprints: Fingerprints = field(default_factory=lambda: np.zeros((0, LENGTH), np.uint8))


def collect_stats(shard: str, items: Iterable[Raw | Fault], count_tokens: CountTokens) -> ShardStats:
    """Decode every picture and measure every caption of one shard."""
    stats = ShardStats(shard)
    prints = []
    for item in items:
        seen = item if isinstance(item, Fault) else try_decode(item, _inspect)
        if isinstance(item, Raw) and not isinstance(seen, Fault):
            kind, size, content, mark = seen
            stats.usable += 1
            stats.formats[kind] += 1
            stats.sizes[size] += 1
            stats.members.append(item.member or item.key)
            stats.digests.append(content)
            prints.append(mark)
            stats.tokens[count_tokens(item.caption)] += 1
            stats.captions[item.caption] += 1
        elif isinstance(seen, Fault):
            stats.faults.append(replace(seen, key=item.member or item.key) if isinstance(item, Raw) else seen)
    if prints:
        stats.fingerprints = np.stack(prints)
    return stats


def open_clip_tokens() -> CountTokens:
    """How many tokens a caption takes in CLIP's own vocabulary."""
    from open_clip.tokenizer import SimpleTokenizer

    return partial(_count, SimpleTokenizer())


def _count(tokenizer: object, caption: str) -> int:
    return len(tokenizer.encode(caption)) + 2  # type: ignore[attr-defined]


def _inspect(open_picture: Callable[[], Image.Image]) -> tuple[str, tuple[int, int], bytes, Fingerprint]:
    with open_picture() as picture:
        kind = format_of(picture) or "?"
        file: IO[bytes] = picture.fp  # type: ignore[attr-defined]  # not typed, but documented
        file.seek(0)
        content = digest(file.read())
    with open_picture() as picture:
        return kind, upright_size(picture), content, fingerprint(to_rgb(picture))
