"""The walk over plain headers against Python's tarfile, which takes over where a header is not plain."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgsclip.data import tar_members
from pgsclip.data.batch import Fault
from pgsclip.data.tar_members import member_names, members

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "b" * 90 + "/" + "c" * 60


def _tar(kind: str = "ustar") -> bytes:
    """Files, a folder, a link, an empty file and a name that needs the prefix field."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=FORMATS[kind]) as tar:
        for name, content in (
            ("a.jpg", b"x" * 700),
            ("a.txt", b""),
            (f"{LONG}.jpg", b"y" * 512),
            ("ü.json", b"{}"),
            (".b.txt", b"no"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            folder, link = tarfile.TarInfo(f"{name}-folder"), tarfile.TarInfo(f"{name}-link.jpg")
            folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "a.jpg"
            tar.addfile(folder)
            if name == "ü.json":
                tar.addfile(link)
    return made.getvalue()


def _read(path: Path) -> tuple[list[tuple[str, bytes]], list[tuple[str, str]]]:
    faults: list[Fault] = []
    found = [(member["fname"], member["data"]) for member in members(str(path), faults)]
    return found, [(fault.cause, fault.detail) for fault in faults]


def _nothing(_: Any) -> Iterator[tuple[str, int]]:
    yield from ()


def _both(path: Path) -> tuple[Any, Any]:
    """Ours, and tarfile's alone."""
    ours = _read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar_members, "_plain", _nothing)
        patch.setattr(tar_members, "_at_end", lambda _: False)
        return ours, _read(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_reads_as_tarfile_reads_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(_tar(kind))
    ours, theirs = _both(path)
    assert ours == theirs
    assert [name for name, _ in ours[0]] == ["a.jpg", "a.txt", f"{LONG}.jpg", "ü.json"]
    with tarfile.open(path) as tar:
        assert list(member_names(path)) == [member.name for member in tar if member.isreg()]


def test_a_plain_tar_needs_no_tarfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("a.jpg", f"{LONG}.txt"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    monkeypatch.setattr(tarfile, "open", None)
    assert _read(path) == ([("a.jpg", b"abc"), (f"{LONG}.txt", b"abc")], [])
    assert list(member_names(path)) == ["a.jpg", f"{LONG}.txt"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, 12 * 1024),
    change=st.integers(1, 255),
    cut=st.booleans(),
    kind=st.sampled_from(sorted(FORMATS)),
)
def test_damage_anywhere_is_told_as_tarfile_tells_it(
    tmp_path: Path, place: int, change: int, cut: bool, kind: str
) -> None:
    content = bytearray(_tar(kind))
    place = min(place, len(content) - 1)
    if cut:
        del content[place:]
    else:
        content[place] ^= change
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    ours, theirs = _both(path)
    assert ours == theirs
