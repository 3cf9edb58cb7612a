from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pgsclip.data.batch import Fault
from pgsclip.data.image_files import FileSource, open_folder, open_table
from pgsclip.data.source import Raw, WorkerPass
from pgsclip.errors import DataError

Photo = Callable[..., bytes]


def table(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_text(content, encoding=encoding, newline="")
    return path


def captions(items: Iterator[Raw | Fault]) -> list[str]:
    return [item.caption for item in items if isinstance(item, Raw)]


def test_csv_with_a_mark_quotes_newlines_and_words_of_the_world(tmp_path: Path, photo: Photo) -> None:
    folder = tmp_path / "with spaces"
    folder.mkdir()
    (folder / "a b.png").write_bytes(photo(9))
    content = 'title,filepath,more\r\n"a ""big"", red\ndog",a b.png,1\r\nПривет 猫,a b.png,\r\n'
    source = open_table(table(folder / "pairs.csv", content, "utf-8-sig"), None, None)
    assert captions(source.read_all()) == ['a "big", red\ndog', "Привет 猫"]
    assert source.description == "2 pairs in pairs.csv"
    item = next(iter(source.read_all()))
    assert isinstance(item, Raw)
    assert item.shard == str(folder / "pairs.csv")
    with item.picture() as picture:
        assert np.array(picture)[-1, -1].tolist() == [9, 9, 9]


@pytest.mark.parametrize("name", ["pairs.tsv", "PAIRS.TSV"])
def test_tsv_and_named_columns(tmp_path: Path, name: str) -> None:
    path = table(tmp_path / name, "image\tcaption\tlocal\talt\nx\ty\tb.jpg\tone, two\n")
    (item,) = open_table(path, "local", "alt").read_all()
    assert isinstance(item, Raw)
    assert (item.key, item.caption) == (str(tmp_path / "b.jpg"), "one, two")


def test_columns_are_found_in_any_case(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", " FilePath ,Caption\n/absolute/b.jpg,text\n")
    (item,) = open_table(path, None, None).read_all()
    assert isinstance(item, Raw)
    assert item.key == "/absolute/b.jpg"


def test_rows_that_are_short_or_empty_are_faults(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "image,caption\na.jpg\nb.jpg, \nc.jpg,text\n")
    items = list(open_table(path, None, None).read_all())
    assert [item.cause for item in items if isinstance(item, Fault)] == ["image without caption", "empty caption"]
    assert {item.shard for item in items} == {str(path)}
    assert isinstance(items[2], Raw)


def test_wrong_columns_are_named_with_those_there_are(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "picture,caption\na,b\n")
    with pytest.raises(DataError, match=r"called filepath, .* or file_name; it has: picture, caption\..*image_key="):
        open_table(path, None, None)
    with pytest.raises(DataError, match=r"no column 'pictures'\. Did you mean 'picture'\? It has: picture, caption\."):
        open_table(path, "pictures", None)
    with pytest.raises(DataError, match=r"no column called title, .*caption_key=COLUMN"):
        open_table(table(tmp_path / "b.csv", "image,words\na,b\n"), None, None)


def test_tables_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv has a header but no rows"):
        open_table(table(tmp_path / "a.csv", "image,caption\n"), None, None)
    with pytest.raises(DataError, match=r"it has: no header"):
        open_table(table(tmp_path / "b.csv", ""), None, None)
    (tmp_path / "c.csv").write_bytes(b"image,caption\na.jpg,\xff\xfe\n")
    with pytest.raises(DataError, match=r"c\.csv cannot be read: 'utf-8' codec"):
        open_table(tmp_path / "c.csv", None, None)
    with pytest.raises(DataError, match=r"d\.csv cannot be read: .*No such file"):
        open_table(tmp_path / "d.csv", None, None)
    with pytest.raises(DataError, match=r"e\.csv cannot be read: field larger than"):
        open_table(table(tmp_path / "e.csv", f"image,caption\na,{'x' * 200_000}\n"), None, None)


def test_folder_in_order_with_captions_beside(tmp_path: Path, photo: Photo) -> None:
    for name, caption in {"b.PNG": "\ufeffsecond", "a.v2.png": "first", "sub/c d.jpeg": "third\nline"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo())
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    (tmp_path / "lonely.webp").write_bytes(photo())
    (tmp_path / "notes.md").write_text("no image")
    (tmp_path / "blank.jpg").touch()
    (tmp_path / "blank.txt").touch()
    source = open_folder(tmp_path)
    items = list(source.read_all())
    assert captions(iter(items)) == ["first", "second", "third\nline"]
    assert [(item.cause, Path(item.key).name) for item in items if isinstance(item, Fault)] == [
        ("empty caption", "blank.jpg"),
        ("image without caption", "lonely.webp"),
    ]
    assert source.description == f"5 images in {tmp_path.name}/"


def test_folder_without_pairs_says_how_to_make_one(tmp_path: Path, photo: Photo) -> None:
    with pytest.raises(DataError, match=r"holds 0 images"):
        open_folder(tmp_path)
    (tmp_path / "a.png").write_bytes(photo())
    with pytest.raises(DataError, match=r"holds 1 images and none has a caption.*photo\.jpg into photo\.txt"):
        open_folder(tmp_path)


def test_share_of_a_pass_is_shuffled_and_skips(tmp_path: Path) -> None:
    source = FileSource("t.csv", [(tmp_path / f"{n}.jpg", str(n)) for n in range(20)], "")
    shares = [captions(source.read(WorkerPass(number, 3, 0, 1))) for number in range(3)]
    assert sorted(int(caption) for share in shares for caption in share) == list(range(20))
    assert shares[1] != sorted(shares[1], key=int)
    assert captions(source.read(WorkerPass(1, 3, 0, 1), 4)) == shares[1][4:]
    assert source.shards is None
    assert source.shuffled
