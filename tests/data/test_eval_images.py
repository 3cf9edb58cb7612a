from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.data.eval_images import digest, read_eval_images
from pgsclip.errors import DataError


def test_images_of_tars_and_folders_come_with_their_set(
    tmp_path: Path, write_tar: Callable[..., str], photo: Callable[..., bytes]
) -> None:
    write_tar("sets/wds_one/test/0.tar", [("s0.jpg", photo(1)), ("s0.cls", "3"), ("s1.PNG", photo(2))])
    folder = tmp_path / "sets" / "sugar_crepe" / "val2017"
    folder.mkdir(parents=True)
    (folder / "7.jpg").write_bytes(photo(3))
    (folder / "notes.txt").write_text("no image")
    assert [tuple(image) for image in read_eval_images(tmp_path / "sets")] == [
        ("sugar_crepe", "sugar_crepe/val2017/7.jpg", photo(3)),
        ("wds_one", "wds_one/test/0.tar: s0.jpg", photo(1)),
        ("wds_one", "wds_one/test/0.tar: s1.PNG", photo(2)),
    ]
    assert digest(photo(1)) != digest(photo(2))


def test_what_is_not_there_or_no_tar_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nothing with evaluation sets.*eval-sets"):
        list(read_eval_images(tmp_path / "nothing"))
    (tmp_path / "0.tar").write_text("<html>" * 200)
    with pytest.raises(DataError, match=r"0\.tar cannot be read as a tar.*Get it again"):
        list(read_eval_images(tmp_path))
