from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.data.arrow import is_arrow, open_arrow
from pgsclip.data.batch import Fault
from pgsclip.data.make import make_shards
from pgsclip.data.shard_writer import ShardOptions
from pgsclip.data.source import Raw
from pgsclip.errors import DataError


def test_without_the_package_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match=r"is not installed\. Install it with `python -m pip install datasets`"):
        open_arrow(tmp_path, None, None)


def test_it_is_known_by_its_files(tmp_path: Path) -> None:
    assert not is_arrow(tmp_path)
    assert is_arrow(Path("part.parquet"))
    (tmp_path / "0.parquet").touch()
    assert is_arrow(tmp_path)


@pytest.mark.filterwarnings("ignore")  # of dill, about pyarrow
@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_both_forms_become_shards(
    tmp_path: Path, picture: Callable[..., bytes], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    images = [{"bytes": picture(0), "path": None}, {"bytes": picture(1), "path": None}, None]
    rows = datasets.Dataset.from_dict(
        {"photo": images, "caption": [["one", "other"], [], ["none"]]},
        features=datasets.Features({"photo": datasets.Image(), "caption": datasets.List(datasets.Value("string"))}),
    )
    path = tmp_path / "set"
    rows.save_to_disk(path) if form == "saved" else rows.to_parquet(tmp_path / "set.parquet")
    path = path if form == "saved" else tmp_path / "set.parquet"
    pairs = open_arrow(path, None, None)
    first, second, third = (pairs.pair(number) for number in range(3))
    assert isinstance(first, Raw)
    assert (first.caption, first.picture().size) == ("one", (64, 64))
    assert isinstance(second, Fault)
    assert isinstance(third, Fault)
    assert (second.cause, third.cause) == ("image without caption", "caption without image")
    assert make_shards(str(path), tmp_path / "shards", ShardOptions(), jobs=1).pairs == 1
    with pytest.raises(DataError, match="has no column 'text'"):
        open_arrow(path, None, "text")


def test_splits_are_named_and_what_is_unreadable_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "train").mkdir()
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds the splits train; give one of them, such as .*/train"):
        open_arrow(tmp_path, None, None)
    (tmp_path / "a.parquet").write_text("nothing")
    with pytest.raises(DataError, match=r"The dataset .*a\.parquet cannot be read"):
        open_arrow(tmp_path / "a.parquet", None, None)
