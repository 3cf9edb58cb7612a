from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import GeneratedSource
from pgsclip.data.image_files import FileSource
from pgsclip.data.shards import ShardSource
from pgsclip.data.source import Raw
from pgsclip.data.spec import expand, find_held_out, open_source
from pgsclip.errors import DataError

CONFIG = DataConfig()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "my shards"
    place.mkdir()
    for name in ("00000.tar", "00001.tar", "00002.tar", "val-0.tar", "val-1.tar", "readme.md"):
        (place / name).touch()
    return place


def names(urls: list[str]) -> list[str]:
    return [Path(url).name for url in urls]


def test_braces_globs_and_several_in_the_order_given(folder: Path) -> None:
    assert names(expand(f"{folder}/{{00000..00002}}.tar")) == ["00000.tar", "00001.tar", "00002.tar"]
    assert names(expand(f"{folder}/0*.tar")) == ["00000.tar", "00001.tar", "00002.tar"]
    assert names(expand(f"{folder}/val-[01].tar::{folder}/00001.tar::")) == ["val-0.tar", "val-1.tar", "00001.tar"]
    assert names(expand(f"{folder}/{{val-,0000}}*.tar"))[:2] == ["val-0.tar", "val-1.tar"]


def test_a_name_that_exists_is_no_pattern(tmp_path: Path) -> None:
    for name in ("data[1]/a.tar", "{0,1}/b.tar"):
        path = tmp_path / name
        path.parent.mkdir()
        path.touch()
        assert expand(str(path)) == [str(path)]


def test_addresses_pass_through_with_braces_expanded() -> None:
    assert expand("pipe:cat {a,b}.tar::https://host/{0..1}.tar") == [
        *["pipe:cat a.tar", "pipe:cat b.tar", "https://host/0.tar", "https://host/1.tar"]
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("none/*.tar", r"No file matches 'none/\*\.tar'\. Give shards"),
        ("none/{0..3}.tar", r"No file matches 'none/0\.tar' \(from 'none/\{0\.\.3\}\.tar'\)\. Give shards"),
        ("none/{0..3.tar", r"braces in 'none/\{0\.\.3\.tar' do not close"),
        ("::", r"The data '::' names nothing\. Give shards .*, or 'generated'\."),
        ("", r"names nothing"),
        ("s3://bucket/a.tar", r"'s3://bucket/a\.tar' cannot be opened: s3: is none of .*pipe.*Give 'pipe:COMMAND'"),
    ],
)
def test_what_matches_nothing_is_told_with_the_forms_there_are(spec: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        expand(spec)


def test_files_that_are_no_tars_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"readme\.md is not a \.tar file\. Give shards"):
        expand(f"{folder}/*")
    with pytest.raises(DataError, match=r"my shards is not a \.tar file"):
        expand(f"{folder}::{folder}/00000.tar")


def test_each_form_opens_its_kind_of_source(
    tmp_path: Path, write_shards: Callable[[list[int]], list[str]], photo: Callable[..., bytes]
) -> None:
    assert isinstance(open_source("generated", CONFIG), GeneratedSource)
    assert open_source("generated", DataConfig(samples=12)).size == 12
    held_out = open_source("generated:held-out", DataConfig(samples=12))
    assert isinstance(held_out, GeneratedSource)
    assert (held_out.stream, held_out.size) == ("held-out", 1000)
    (url, _) = write_shards([2, 1])
    assert isinstance(open_source(url, CONFIG), ShardSource)
    assert open_source(str(tmp_path), CONFIG).size == 3
    assert open_source(str(tmp_path), DataConfig(samples=99)).size == 99
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(photo())
    (pictures / "a.txt").write_text("text")
    assert isinstance(open_source(str(pictures), CONFIG), FileSource)
    for name in ("t.csv", "t.TSV"):
        (tmp_path / name).write_text("image,caption,who\na,b,c\n".replace(",", "\t" if name == "t.TSV" else ","))
        (item,) = open_source(str(tmp_path / name), DataConfig(caption_key="who")).read_all()
        assert isinstance(item, Raw)
        assert item.caption == "c"
    with pytest.raises(DataError, match=r"There is no table .*missing\.csv"):
        open_source(str(tmp_path / "missing.csv"), CONFIG)


def test_held_out_pairs_are_found_beside_the_shards(folder: Path) -> None:
    both = f"{folder}/val-0.tar::{folder}/val-1.tar"
    for spec in (f"{folder}/{{00000..00002}}.tar", f"{folder}/0*.tar", str(folder)):
        assert find_held_out(spec) == both
    assert find_held_out("generated") == "generated:held-out"
    assert find_held_out("pipe:cat a.tar") is None
    (folder / "a.csv").touch()
    assert find_held_out(f"{folder}/a.csv") is None


def test_nothing_is_trained_on_and_held_out_at_once(folder: Path) -> None:
    assert find_held_out(f"{folder}/*.tar") is None
    assert find_held_out(f"{folder}/00000.tar::{folder}/val-0.tar") == f"{folder}/val-1.tar"
    source = open_source(str(folder), DataConfig(samples=1))
    assert source.shards == 3


def test_a_folder_of_held_out_shards_alone_can_be_opened(folder: Path) -> None:
    for tar in folder.glob("0*.tar"):
        tar.unlink()
    assert open_source(str(folder), DataConfig(samples=1)).shards == 2
    assert find_held_out(str(folder)) is None


def test_held_out_shards_of_a_folder_with_odd_signs_can_be_opened_again(tmp_path: Path) -> None:
    place = tmp_path / "data[1]"
    place.mkdir()
    for name in ("a.tar", "val-a.tar"):
        (place / name).touch()
    spec = find_held_out(str(place))
    assert spec is not None
    assert expand(spec) == [str(place / "val-a.tar")]
