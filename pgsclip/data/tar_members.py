"""The members of a tar, in order, whatever happens to it on the way. Opening is webdataset's (`pipe:`, http, gs, hf).

Python's tarfile spends longer on a header than a small JPEG takes to decode, and copies every member three times. So a
local tar without compression is walked by its plain headers here, one read a member; at the first header that is not
plain, and for everything that comes through a pipe, tarfile takes over. What damage means is told by it alone.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from webdataset import tariterators
from webdataset.gopen import gopen

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import IMAGE_ENDINGS

CAPTIONS = ("txt", "json")
_BLOCK = 512
_BUFFER = 2**20


def members(url: str, faults: list[Fault]) -> Iterator[dict[str, Any]]:
    """The images and captions of one tar as webdataset wants them; what ends it too early goes to `faults`."""
    try:
        done = 0
        if Path(url).is_file():
            with Path(url).open("rb", buffering=_BUFFER) as file:
                walk = _plain(file)
                while (member := next(walk, None)) is not None:
                    if is_wanted(member[0]):
                        done += 1
                        yield {"fname": member[0], "data": file.read(member[1]), "__url__": url}
                if _at_end(file):
                    return
        with closing(_stream(url)) as stream:  # closing a pipe raises when its command failed
            yield from islice(_unpacked(url, stream), done, None)
    except FileNotFoundError as error:
        faults.append(Fault("missing shard", url, "", str(error)))
    except tarfile.ReadError as error:
        faults.append(Fault(_damage(str(error)), url, "", str(error)))
    except (OSError, ValueError, EOFError) as error:
        faults.append(Fault("unreadable shard", url, "", f"{type(error).__name__}: {error}"))


def member_names(path: Path) -> Iterator[str]:
    """Names of the regular files of a local tar, from its headers alone.

    Raises:
        tarfile.ReadError, EOFError, ValueError: it is damaged, after the names before that. OSError: it cannot be read.
    """
    done = 0
    with path.open("rb", buffering=_BUFFER) as file:
        for name, _ in _plain(file):
            done += 1
            yield name
        if _at_end(file):
            return
    with tarfile.open(path, "r:*") as tar:
        yield from islice((member.name for member in tar if member.isreg()), done, None)


def is_wanted(name: str) -> bool:
    """Whether a member is an image or a caption by its ending; hidden files have none."""
    _, extension = tariterators.base_plus_ext(name)
    return (extension or "").rpartition(".")[2].lower() in (*IMAGE_ENDINGS, *CAPTIONS)


def _plain(file: BinaryIO) -> Generator[tuple[str, int], None, None]:
    """Name and size of each regular file, with the file at its content; stops in front of what is not plain."""
    size = os.fstat(file.fileno()).st_size
    place = 0
    while True:
        file.seek(place)
        found = _plain_header(file.read(_BLOCK))
        if found is None or place + _BLOCK + found[1] > size:
            file.seek(place)
            return
        name, length, regular = found
        if regular:
            yield name, length
        place += _BLOCK + -(-length // _BLOCK) * _BLOCK


def _plain_header(header: bytes) -> tuple[str, int, bool] | None:
    """Name, size and whether it is a regular file (or else a folder); None for anything that needs a second look.

    The fields of POSIX.1-1988's ustar header, which GNU tar shares: name at 0, size 124, checksum 148, type 156,
    magic 257, prefix 345.
    """
    kind = header[156:157]
    if len(header) < _BLOCK or header[257:262] != b"ustar" or kind not in (b"0", b"\0", b"5"):
        return None
    length, checksum = (header[start:end].strip(b" \0") for start, end in ((124, 136), (148, 156)))
    if not (length.isdigit() and checksum.isdigit()):  # beyond 8 GiB a number is not octal
        return None
    try:
        if sum(header) - sum(header[148:156]) + 8 * 0x20 != int(checksum, 8):
            return None
        size = int(length, 8)
    except ValueError:
        return None
    name, prefix = (_text(header, start, end) for start, end in ((0, 100), (345, 500)))
    if kind == b"5":
        return name, 0, False
    return None if name.endswith("/") else (f"{prefix}/{name}" if prefix else name, size, True)


def _text(header: bytes, start: int, end: int) -> str:
    return header[start:end].partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _at_end(file: BinaryIO) -> bool:
    """Whether a block of zeros follows, by which a tar ends."""
    return file.read(_BLOCK) == bytes(_BLOCK)


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


def _unpacked(url: str, stream: Any) -> Iterator[dict[str, Any]]:
    damage = None
    try:
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
            for member in tar:
                if member.isreg() and is_wanted(member.name) and (content := tar.extractfile(member)):
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
