from __future__ import annotations

import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pgsclip.files import atomic_folder, atomic_path, is_temporary, write_atomically


def test_text_and_bytes_are_written_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "ä\n")
    write_atomically(tmp_path / "b", b"\x00\xff")
    assert (tmp_path / "a").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with atomic_path(path) as ours:
        ours.write_text("ours")
        with atomic_path(path) as theirs:
            assert theirs != ours
            theirs.write_text("theirs")
        assert path.read_text() == "theirs"
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_write_one_file_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    contents = [str(number) * 100_000 for number in range(4)]
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert not path.exists() or path.read_text() in contents
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert list(tmp_path.iterdir()) == [path]


def _write_often(path: Path, content: str) -> None:
    for _ in range(20):
        write_atomically(path, content)


def test_the_umask_decides_who_may_read_also_what_safetensors_writes(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "text", "a")
        with atomic_path(tmp_path / "weights") as temporary:
            save_file({"a": torch.zeros(2)}, temporary)
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert load_file(tmp_path / "weights")["a"].tolist() == [0, 0]


def test_a_writer_that_fails_or_thinks_better_of_it_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError), atomic_path(path) as temporary:
        temporary.write_text("half \ud800", encoding="utf-8")
    with atomic_path(path) as temporary:
        temporary.unlink()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young, of_others, foreign = (
        tmp_path / name for name in (f".a.{'0' * 16}.tmp", f".a.{'1' * 16}.tmp", f".ab.{'0' * 16}.tmp", ".a.backup.tmp")
    )
    for left in (old, young, of_others, foreign):
        left.touch()
    for left in (old, of_others, foreign):
        os.utime(left, (time.time() - 90_000,) * 2)
    write_atomically(tmp_path / "a", "new")
    assert set(tmp_path.iterdir()) == {tmp_path / "a", young, of_others, foreign}
    assert [is_temporary(path) for path in (old, young, of_others, foreign, tmp_path / "a")] == [True] * 3 + [False] * 2


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("a")
        assert not path.exists()
    assert [file.name for file in path.iterdir()] == ["a"]
    with pytest.raises(OSError, match="not empty"), atomic_folder(path) as temporary:
        (temporary / "b").write_text("b")
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "other") as temporary:
        (temporary / "c" / "d").touch()
    assert [file.name for file in path.iterdir()] == ["a"]
    assert [one.name for one in path.parent.iterdir()] == ["model"]
    assert [one.name for one in tmp_path.iterdir()] == ["new"]
