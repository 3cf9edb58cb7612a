"""Whether the files of a folder still are what was written: their lengths, looked at often, and their bytes, on resume.

CRC-32 finds every damage that nobody made on purpose, and runs at about 3 GiB/s on one core: 0.6 s for the 1.8 GB of a
ViT-B/16 with Adam's memory, once when a checkpoint is written and once when a run goes on from it.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

_SEAL = "files.json"
_PIECE = 1 << 24


def seal(folder: Path) -> None:
    """Write down length and checksum of every file in `folder`: `files.json`, name → [bytes, CRC-32]."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != _SEAL)
    content = {file.name: [file.stat().st_size, _checksum(file)] for file in files}
    (folder / _SEAL).write_text(json.dumps(content) + "\n", encoding="utf-8")


def flaw(folder: Path, *, thorough: bool) -> str | None:
    """What is wrong with the files of a sealed folder, None when nothing is.

    Args:
        thorough: read every byte, too, not only the lengths.
    """
    try:
        sealed = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        for name, entry in sealed.items():
            size, checksum = entry if isinstance(entry, list) else (entry, None)  # early runs noted the length alone
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
        return f"{_SEAL} is not as it was written"
    return None


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value
