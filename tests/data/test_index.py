from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.config.schema import DataConfig
from pgsclip.data.index import INDEX, count_all, read_index, write_index
from pgsclip.data.spec import open_source
from pgsclip.errors import DataError

WriteShards = Callable[[list[int]], list[str]]


def test_an_index_is_written_once_and_read_by_training(write_shards: WriteShards, tmp_path: Path) -> None:
    urls = write_shards([2, 3, 1])
    told: list[tuple[int, int]] = []
    found = write_index(urls, lambda done, total: told.append((done, total)))
    assert found == (6, 3, [tmp_path / INDEX])
    assert told[-1] == (3, 3)
    assert json.loads((tmp_path / INDEX).read_text()) == {"00000.tar": 2, "00001.tar": 3, "00002.tar": 1}
    (tmp_path / INDEX).write_text(json.dumps({"00000.tar": 20, "00001.tar": 30, "00002.tar": 10}))
    assert open_source(f"{tmp_path}/*.tar", DataConfig()).size == 60, "the index is believed"
    assert open_source(f"{tmp_path}/*.tar", DataConfig(samples=5)).size == 5, "what is given counts more"


def test_a_shard_that_is_newer_or_unknown_is_counted(write_shards: WriteShards, tmp_path: Path) -> None:
    urls = write_shards([2, 3])
    (tmp_path / INDEX).write_text(json.dumps({"00000.tar": 70, "00001.tar": -4, "other.tar": 9}))
    assert count_all(urls) == 73
    later = (tmp_path / INDEX).stat().st_mtime + 5
    os.utime(urls[0], (later, later))
    assert count_all(urls) == 5


@pytest.mark.parametrize("content", ["{", "[3]", '{"00000.tar": "2"}', "null"])
def test_an_index_that_is_none_is_not_believed(write_shards: WriteShards, tmp_path: Path, content: str) -> None:
    urls = write_shards([2])
    (tmp_path / INDEX).write_text(content)
    assert read_index(tmp_path) == {}
    assert count_all(urls) == 2


def test_other_shards_of_the_folder_keep_their_numbers(write_shards: WriteShards, tmp_path: Path) -> None:
    urls = write_shards([2, 3])
    write_index(urls[:1])
    write_index(urls[1:])
    assert read_index(tmp_path) == {"00000.tar": 2, "00001.tar": 3}


def test_pipes_are_counted_by_reading_and_have_no_index(write_shards: WriteShards) -> None:
    (url,) = write_shards([4])
    assert write_index([f"pipe:cat '{url}'"]) == (4, 1, [])


def test_where_nothing_can_be_written_the_number_is_said(
    write_shards: WriteShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = write_shards([4])

    def refuse(path: Path, content: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pgsclip.data.index.write_atomically", refuse)
    with pytest.raises(DataError, match=r"sizes\.json cannot be written: Read-only.*--set data\.samples=4"):
        write_index(urls)
