"""How often each token stands in the captions: one pass over the data, kept in a file beside it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from pgsclip.data.generated import GeneratedSource
from pgsclip.data.source import PairSource, Raw
from pgsclip.data.spec import local_files
from pgsclip.files import write_atomically
from pgsclip.token_ids import find_words

_CHUNK = 2048
_OF_GENERATED = 5000
"""Captions of the endless generator that are counted; its grammar has few words."""


def word_counts(
    spec: str,
    source: PairSource,
    tokenizer: Callable[[Sequence[str]], Tensor],
    vocabulary: int,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Int[Tensor, " V"]:
    """Counts of all tokens but start and end of text, over all captions that can be read.

    The file lies beside the first shard or table, or in the folder of images. It is named after the data's files, their
    sizes and dates, and the tokenizer: shards and tables that changed are counted anew, a folder when it has another
    number of pairs. Where nothing can be written, nothing is.

    Args:
        spec: what `source` was opened from.
        tokenizer: captions → (B, N) ids: start, words, end (the largest id of the row), zeros.
        vocabulary: number of token ids.
    """
    file = _cache_file(spec, source, tokenizer, vocabulary)
    if file is not None and (known := _read(file, vocabulary)) is not None:
        return known
    counts = torch.zeros(vocabulary, dtype=torch.int64)
    pairs = source.read_all() if not isinstance(source, GeneratedSource) else islice(source.read_all(), _OF_GENERATED)
    captions = (item.caption for item in pairs if isinstance(item, Raw))
    done = 0
    while chunk := list(islice(captions, _CHUNK)):
        texts = tokenizer(chunk)
        counts += torch.bincount(texts[find_words(texts)], minlength=vocabulary)
        done += len(chunk)
        on_progress(f"counting words: {done:,} captions")
    if file is not None:
        _write(file, counts)
    return counts


def _cache_file(spec: str, source: PairSource, tokenizer: object, vocabulary: int) -> Path | None:
    """None for data that is not in local files."""
    files = local_files(spec)
    if not files:
        return None
    parts = [type(tokenizer).__name__, str(vocabulary), str(source.size)]
    for path in sorted(files):
        state = path.stat()
        # A folder's own date changes when this very file appears in it.
        parts.append(path.name if path.is_dir() else f"{path.name} {state.st_size} {state.st_mtime_ns}")
    digest = hashlib.blake2b("\n".join(parts).encode(errors="surrogateescape"), digest_size=6).hexdigest()
    return (files[0] if files[0].is_dir() else files[0].parent) / f".pgsclip-word-counts-{digest}.json"


def _read(file: Path, vocabulary: int) -> Tensor | None:
    """Token → count; None when it is not there or not whole."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        counts = torch.zeros(vocabulary, dtype=torch.int64)
        for token, count in found.items():
            counts[int(token)] = int(count)
    except (OSError, ValueError, AttributeError, IndexError):
        return None
    return counts


def _write(file: Path, counts: Tensor) -> None:
    found = {str(token): int(counts[token]) for token in counts.nonzero().squeeze(1).tolist()}
    with contextlib.suppress(OSError):  # a shared data folder is often read-only; the next run counts again
        write_atomically(file, json.dumps(found))
