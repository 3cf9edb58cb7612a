from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.config.schema import DataConfig
from pgsclip.data import make
from pgsclip.data.check import check_data
from pgsclip.data.make import make_shards, plan
from pgsclip.data.shard_writer import ShardOptions
from pgsclip.data.shards import read_shard
from pgsclip.data.source import Raw
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.errors import DataError


@pytest.fixture
def photos(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    """Seven images with captions, the fourth of them broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.jpg").write_bytes(b"broken" if number == 3 else picture(number))
        (folder / f"{number}.txt").write_text(f"number {number}")
    return folder


def captions(*tars: Path) -> list[str]:
    return [item.caption for tar in tars for item in read_shard(str(tar)) if isinstance(item, Raw)]


def test_a_folder_becomes_shards_that_training_reads(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    made = make_shards(str(photos), out, ShardOptions(per_shard=2, held_out=2), jobs=1)
    assert (made.pairs, made.shards, made.kept, made.refused) == (6, 4, 0, {"corrupt image": 1})
    assert captions(*sorted(out.glob("val-*.tar"))) == ["number 0", "number 1"]
    assert captions(*sorted(out.glob("train-*.tar"))) == [f"number {number}" for number in (2, 4, 5, 6)]
    assert open_source(str(out), DataConfig()).size == 4
    assert find_held_out(str(out)) == str(out / "val-00000.tar")
    assert json.loads((out / "sizes.json").read_text())["train-00000.tar"] == 1
    assert check_data(str(out), jobs=1).sound


def test_what_was_broken_off_goes_on_and_finished_shards_are_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, how = tmp_path / "shards", ShardOptions(per_shard=2)
    whole: list[str] = []
    real = make.write_shard

    def killed(pairs: Any, path: Path, numbers: list[int], making: ShardOptions) -> dict[str, Any]:
        if len(whole) == 2:
            raise KeyboardInterrupt
        whole.append(path.name)
        return real(pairs, path, numbers, making)

    monkeypatch.setattr(make, "write_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        make_shards(str(photos), out, how, jobs=1)
    before = {tar: tar.stat().st_mtime_ns for tar in out.glob("*.tar")}
    assert sorted(tar.name for tar in before) == whole == ["train-00000.tar", "train-00001.tar"]
    monkeypatch.setattr(make, "write_shard", real)
    made = make_shards(str(photos), out, how, jobs=1)
    assert (made.pairs, made.shards, made.kept, made.refused) == (6, 4, 2, {"corrupt image": 1})
    assert {tar: tar.stat().st_mtime_ns for tar in before} == before
    (out / "train-00002.tar").unlink()
    assert make_shards(str(photos), out, how, jobs=1).kept == 3
    assert len(captions(*out.glob("*.tar"))) == 6


def test_processes_make_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    how = ShardOptions(per_shard=3, side=32, shuffle=True)
    for jobs in (1, 2):
        make_shards(str(photos), tmp_path / str(jobs), how, jobs=jobs)
    for name in ("train-00000.tar", "train-00001.tar", "train-00002.tar"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_table_is_read_by_its_columns(photos: Path, tmp_path: Path) -> None:
    table = photos / "pairs.tsv"
    table.write_text("img\ttitle\n1.jpg\tone\n9.jpg\tgone\n")
    with pytest.raises(DataError, match="--image-key COLUMN of `pgsclip data make`"):
        make_shards(str(table), tmp_path / "a", ShardOptions(), jobs=1)
    made = make_shards(str(table), tmp_path / "a", ShardOptions(), config=DataConfig(image_key="img"), jobs=1)
    assert (made.pairs, made.refused) == (1, {"missing image": 1})


def test_a_folder_of_other_shards_is_left_alone(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    make_shards(str(photos), out, ShardOptions(), jobs=1)
    with pytest.raises(DataError, match=r"were made otherwise \(side was None, now 32, quality was 90, now 80\)"):
        make_shards(str(photos), out, ShardOptions(side=32, quality=80), jobs=1)
    (out / "make.json").write_text("{")
    with pytest.raises(DataError, match=r"make\.json cannot be read"):
        make_shards(str(photos), out, ShardOptions(), jobs=1)
    (out / "make.json").unlink()
    with pytest.raises(DataError, match=r"tars in .*shards that this command did not make"):
        make_shards(str(photos), out, ShardOptions(), jobs=1)


def test_sources_that_are_none_and_pairs_that_are_all_refused(photos: Path, tmp_path: Path) -> None:
    for source in (str(tmp_path / "nothing"), "generated"):
        with pytest.raises(DataError, match=r"cannot be made from .*Give a folder of images"):
            make_shards(source, tmp_path / "a", ShardOptions())
    with pytest.raises(DataError, match="--held-out 7 leaves nothing of 7 pairs"):
        make_shards(str(photos), tmp_path / "a", ShardOptions(held_out=7))
    for image in photos.glob("*.jpg"):
        image.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"None of the 7 pairs .* 7 x corrupt image \(first: .*0\.jpg"):
        make_shards(str(photos), tmp_path / "b", ShardOptions(), jobs=1)


def test_every_pair_is_dealt_out_once_also_when_shuffled() -> None:
    shards = plan(10, ShardOptions(per_shard=4, held_out=3, shuffle=True))
    assert [(shard.name, len(shard.numbers)) for shard in shards] == [
        ("val-00000.tar", 3),
        ("train-00000.tar", 4),
        ("train-00001.tar", 3),
    ]
    numbers = [number for shard in shards for number in shard.numbers]
    assert sorted(numbers) == list(range(10)) != numbers
    assert plan(10, ShardOptions(per_shard=4, held_out=3, shuffle=True)) == shards
