from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from pgsclip.models.checksums import verify, verify_file, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "empty").touch()
    write_checksums(tmp_path)
    return tmp_path


def test_lengths_and_checksums_are_written_beside_the_files(folder: Path) -> None:
    written = json.loads((folder / "files.json").read_text())
    assert written == {"a": [10, zlib.crc32(b"0123456789")], "empty": [0, 0]}
    assert verify(folder, thorough=True) is None


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
    folder: Path, name: str, content: bytes | None, wrong: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    assert verify(folder, thorough=False) == wrong == verify(folder, thorough=True)


def test_a_bit_that_fell_over_is_seen_by_the_checksum_alone(folder: Path) -> None:
    (folder / "a").write_bytes(b"0123456788")
    assert verify(folder, thorough=False) is None
    assert verify(folder, thorough=True) == "the bytes of a are not those that were written"


def test_lengths_alone_are_enough_where_no_more_was_written(folder: Path) -> None:
    (folder / "files.json").write_text('{"a": 10}')
    assert verify(folder, thorough=True) is None


def test_one_file_is_compared_where_a_list_of_ours_knows_it(folder: Path) -> None:
    assert verify_file(folder / "a") is None
    (folder / "a").write_bytes(b"0123456788")
    assert verify_file(folder / "a") == "the bytes of a are not those that were written"
    assert verify(folder, thorough=True, only=["empty"]) is None
    for content in ('{"other": 1}', "[1]", "3", "{"):  # somebody else's
        (folder / "files.json").write_text(content)
        assert verify_file(folder / "a") is None
    (folder / "files.json").unlink()
    assert verify_file(folder / "a") is None
