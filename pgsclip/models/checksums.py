"""Lengths and checksums of a folder's files, in its `files.json`: whether they still are what was written.

CRC-32 finds every damage that nobody made on purpose, and runs at about 3 GiB/s on one core: 0.6 s for the 1.8 GB of a
ViT-B/16 with Adam's moments, once when a checkpoint is written and once when a run goes on from it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from pathlib import Path

LIST = "files.json"
"""Name → [bytes, CRC-32], or bytes alone, which early runs wrote."""
_CHUNK = 1 << 24


def write_checksums(folder: Path) -> None:
    """Write length and checksum of every file in `folder` to its `files.json`."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != LIST)
    content = {file.name: [file.stat().st_size, _checksum(file)] for file in files}
    (folder / LIST).write_text(json.dumps(content) + "\n", encoding="utf-8")


def verify(folder: Path, *, thorough: bool, only: Collection[str] | None = None) -> str | None:
    """Compare the files of a folder with its list.

    Args:
        thorough: compare every byte by its checksum; otherwise the lengths alone, which takes no time.
        only: names of the files to look at; all that are listed when not given.

    Returns:
        What is wrong with the first file that differs, None when all are as they were written.
    """
    try:
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))
        for name, entry in listed.items():
            if only is not None and name not in only:
                continue
            size, checksum = entry if isinstance(entry, list) else (entry, None)
            found = (folder / name).stat().st_size
            if found != size:
                return f"{name} has {found:,} bytes instead of {size:,}"
            if thorough and checksum is not None and _checksum(folder / name) != checksum:
                return f"the bytes of {name} are not those that were written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    except (ValueError, TypeError, AttributeError):
        return f"{LIST} is not as it was written"
    return None


def verify_file(file: Path) -> str | None:
    """Compare one file, byte by byte, with the list beside it.

    Returns:
        What is wrong with it; None when nothing is, or when no list of ours knows the file.
    """
    try:
        known = file.name in json.loads((file.parent / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None
    return verify(file.parent, thorough=True, only=[file.name]) if known else None


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
