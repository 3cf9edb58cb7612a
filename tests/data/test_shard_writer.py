from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import open_image
from pgsclip.data.shard_writer import ShardOptions, write_shard
from pgsclip.data.source import Raw

Photo = Callable[..., bytes]


class Listed:
    """NumberedPairs in a list."""

    def __init__(self, *contents: bytes | Fault) -> None:
        self.contents = contents
        self.size = len(contents)

    def pair(self, index: int) -> Raw | Fault:
        content = self.contents[index]
        if isinstance(content, Fault):
            return content
        return Raw("list", str(index), f"number {index}", partial(open_image, content))


def members(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            found[entry.name] = file.read()
    return found


def test_images_stay_as_they_are_where_they_can(tmp_path: Path, picture: Photo) -> None:
    gif = io.BytesIO()
    Image.open(io.BytesIO(picture(2))).save(gif, "gif")
    made = write_shard(
        Listed(picture(0), picture(1, "png"), gif.getvalue()), tmp_path / "a.tar", [2, 0, 1], ShardOptions()
    )
    assert made == {"pairs": 3, "refused": {}, "examples": {}}
    found = members(tmp_path / "a.tar")
    assert list(found) == [
        f"{n:09d}.{kind}" for n, kind in ((2, "jpg"), (0, "jpg"), (1, "png")) for kind in (kind, "txt")
    ]
    assert found["000000000.jpg"] == picture(0)
    assert found["000000001.png"] == picture(1, "png")
    assert found["000000001.txt"] == b"number 1"
    assert Image.open(io.BytesIO(found["000000002.jpg"])).format == "JPEG"


@pytest.mark.parametrize(("size", "expected"), [((64, 40), (32, 20)), ((40, 64), (20, 32)), ((20, 90), (20, 90))])
def test_the_shorter_side_is_scaled_down_and_never_up(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, "png")
    write_shard(Listed(content.getvalue()), tmp_path / "a.tar", [0], ShardOptions(side=20))
    image = next(data for name, data in members(tmp_path / "a.tar").items() if not name.endswith("txt"))
    assert Image.open(io.BytesIO(image)).size == expected


def test_what_cannot_be_used_is_counted_by_cause_with_an_example(tmp_path: Path, picture: Photo) -> None:
    pairs = Listed(picture(0)[:300], b"<html>", Fault("empty caption", "list", "2"), picture(3))
    made = write_shard(pairs, tmp_path / "a.tar", [0, 1, 2, 3], ShardOptions())
    assert (made["pairs"], made["refused"]) == (1, {"corrupt image": 2, "empty caption": 1})
    assert made["examples"]["corrupt image"].startswith("0 OSError: ")
    assert list(members(tmp_path / "a.tar")) == ["000000003.jpg", "000000003.txt"]


def test_a_shard_without_a_pair_is_not_written(tmp_path: Path) -> None:
    assert write_shard(Listed(b"?"), tmp_path / "a.tar", [0], ShardOptions())["pairs"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_shows_through_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    content = io.BytesIO()
    if mode == "P":
        image.convert("P").save(content, "png", transparency=image.convert("P").getpixel((0, 0)))
    else:
        image.convert(mode).save(content, "png")
    write_shard(Listed(content.getvalue()), tmp_path / "a.tar", [0], ShardOptions())
    made = Image.open(io.BytesIO(members(tmp_path / "a.tar")["000000000.jpg"]))
    assert (made.size, made.getpixel((5, 5))) == ((20, 10), (255, 255, 255))


def test_padding_keeps_the_whole_image_on_a_white_square(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (80, 40), "black").save(content, "png")
    write_shard(Listed(content.getvalue()), tmp_path / "a.tar", [0], ShardOptions(side=20, pad=True))
    made = Image.open(io.BytesIO(members(tmp_path / "a.tar")["000000000.jpg"])).convert("L")
    assert made.size == (20, 20)
    assert made.getpixel((10, 1)) > 250  # type: ignore[operator]
    assert made.getpixel((10, 10)) < 5  # type: ignore[operator]
