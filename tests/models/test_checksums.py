from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from pgsclip.models.checksums import flaw, seal


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "empty").touch()
    seal(tmp_path)
    return tmp_path


def test_lengths_and_checksums_are_written_beside_the_files(sealed: Path) -> None:
    written = json.loads((sealed / "files.json").read_text())
    assert written == {"a": [10, zlib.crc32(b"0123456789")], "empty": [0, 0]}
    assert flaw(sealed, thorough=True) is None


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("a", None, "a is missing"),
        ("a", b"01234", "a has 5 bytes instead of 10"),
        ("files.json", None, "files.json is missing"),
        ("files.json", b"{", "files.json is not as it was written"),
        ("files.json", b"[]", "files.json is not as it was written"),
        ("files.json", b'{"a": [1, 2, 3]}', "files.json is not as it was written"),
    ],
)
def test_what_is_missing_or_shorter_is_seen_at_a_glance(
    sealed: Path, name: str, content: bytes | None, wrong: str
) -> None:
    if content is None:
        (sealed / name).unlink()
    else:
        (sealed / name).write_bytes(content)
    assert flaw(sealed, thorough=False) == wrong == flaw(sealed, thorough=True)


def test_a_bit_that_fell_over_is_seen_by_the_checksum_alone(sealed: Path) -> None:
    (sealed / "a").write_bytes(b"0123456788")
    assert flaw(sealed, thorough=False) is None
    assert flaw(sealed, thorough=True) == "the bytes of a are not those that were written"


def test_lengths_alone_are_enough_where_no_more_was_written(sealed: Path) -> None:
    (sealed / "files.json").write_text('{"a": 10}')
    assert flaw(sealed, thorough=True) is None
