"""Files and folders that appear whole or not at all, under whatever process ends in between.

Each is written under a temporary name of its own beside its place, flushed to the disk and renamed. So a reader sees
the old content or the new, and two processes that write the same file do not disturb each other: the last one wins.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{16}\.tmp")
_ABANDONED = 24 * 3600.0
"""Seconds after which a temporary file or folder belongs to a process that was killed."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8.

    Raises:
        OSError: it cannot be written; an older file stays as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a writer an empty file under a temporary name, which becomes `path` at the end, with the mode of the umask.

    A writer that removes it leaves `path` as it was; so does one that fails, and nothing temporary stays.

    Raises:
        OSError: it cannot be written.
    """
    temporary = _temporary_name(path)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    mode = os.fstat(descriptor).st_mode & 0o777
    os.close(descriptor)
    try:
        yield temporary
        if temporary.exists():
            temporary.chmod(mode)  # safetensors puts a file of its own in the place, which only its owner may read
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a writer an empty folder under a temporary name, which becomes `path` at the end: a new or empty folder.

    Raises:
        OSError: it cannot be written, or `path` is there and holds something; then nothing temporary stays.
    """
    temporary = _temporary_name(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Return whether a file or folder has a name that only lasts while something is written."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _temporary_name(path: Path) -> Path:
    """Make up a name beside `path` that nothing has, after removing what killed processes left of the same `path`."""
    stem = f".{path.name[:80]}."
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        if left.name.startswith(stem) and is_temporary(left):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f"{stem}{secrets.token_hex(8)}.tmp")
