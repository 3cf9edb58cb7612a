from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import NotAnImageError
from pgsclip.data.shards import ShardSource, count_pairs, read_shard
from pgsclip.data.source import Raw, WorkerPass
from pgsclip.errors import DataError

WriteTar = Callable[..., str]
Photo = Callable[..., bytes]


def captions(url: str) -> list[str]:
    return [item.caption for item in read_shard(url) if isinstance(item, Raw)]


def faults(url: str) -> list[tuple[str, str]]:
    found = [item for item in read_shard(url) if isinstance(item, Fault)]
    assert {fault.shard for fault in found} <= {url}
    return [(fault.cause, fault.key) for fault in found]


def test_pairs_come_in_order_with_their_pictures(write_shards: Callable[[list[int]], list[str]]) -> None:
    (url,) = write_shards([5])
    items = list(read_shard(url))
    assert [(item.shard, item.key) for item in items] == [(url, f"{number:05d}") for number in range(5)]
    for number, item in enumerate(items):
        assert isinstance(item, Raw)
        assert item.caption == f"{number}"
        assert np.array(item.picture())[-1, -1].tolist() == [number] * 3


def test_every_image_kind_and_capital_letters(write_tar: WriteTar, photo: Photo) -> None:
    kinds = {"a.JPG": "jpeg", "b.jpeg": "jpeg", "c.PNG": "png", "d.webp": "webp"}
    members = [pair for name, kind in kinds.items() for pair in ((name, photo(7, kind)), (f"{name[0]}.TXT", name))]
    url = write_tar("kinds.tar", members)
    assert captions(url) == list(kinds)
    assert count_pairs(url) == 4


@pytest.mark.parametrize(
    ("content", "caption"),
    [
        ("größe – 猫 🐈", "größe – 猫 🐈"),
        ("\ufeffwith a mark", "with a mark"),
        ("  first line\nsecond line\r\n", "first line\nsecond line"),
        (b"caf\xe9", "caf\ufffd"),
        ("word " * 5000, ("word " * 5000).strip()),
    ],
)
def test_captions_as_people_write_them(write_tar: WriteTar, photo: Photo, content: str | bytes, caption: str) -> None:
    assert captions(write_tar("a.tar", [("a.png", photo()), ("a.txt", content)])) == [caption]


def test_caption_of_a_json_and_text_goes_first(write_tar: WriteTar, photo: Photo) -> None:
    with_mark = json.dumps({"caption": "ü", "url": 3}, ensure_ascii=False).encode("utf-8-sig")
    members = [("a.png", photo()), ("a.json", with_mark)]
    members += [("b.png", photo()), ("b.json", '{"caption": "json"}'), ("b.txt", "text")]
    assert captions(write_tar("a.tar", members)) == ["ü", "text"]


@pytest.mark.parametrize(
    "content", ["{}", '{"caption": null}', '{"caption": 3}', '["caption"]', "{cut", "", b"\xff\xfe\xfa", "[" * 99_999]
)
def test_json_without_a_caption_is_an_image_without_caption(
    write_tar: WriteTar, photo: Photo, content: str | bytes
) -> None:
    assert faults(write_tar("a.tar", [("a.png", photo()), ("a.json", content)])) == [("image without caption", "a")]


def test_what_is_missing_is_said_by_name_and_the_rest_comes(write_tar: WriteTar, photo: Photo) -> None:
    url = write_tar(
        "a.tar",
        [
            ("a.txt", "no picture"),
            ("b.png", photo()),
            ("c.png", photo()),
            ("c.txt", " \n"),
            ("d.png", photo()),
            ("d.txt", "whole"),
            ("e.cls", "3"),
        ],
    )
    assert faults(url) == [("caption without image", "a"), ("image without caption", "b"), ("empty caption", "c")]
    assert captions(url) == ["whole"]


def test_names_end_at_the_first_dot_but_folders_may_have_dots(write_tar: WriteTar, photo: Photo) -> None:
    url = write_tar(
        "a.tar",
        [
            ("./v1.0/x.png", photo()),
            ("./v1.0/x.txt", "in a folder"),
            ("./v1.0/x.seg.png", photo()),
            ("y.v2.png", photo()),
            ("y.v2.txt", "dotted"),
            ("._y.png", b"hidden"),
            (".txt", "hidden"),
            ("png", "odd"),
        ],
    )
    assert captions(url) == ["in a folder"]
    (fault,) = (item for item in read_shard(url) if isinstance(item, Fault))
    assert fault.cause == "no image and no caption"
    assert fault.key == "y"
    assert fault.detail == "only v2.png, v2.txt; a name ends at its first dot"
    assert count_pairs(url) == 1


def test_same_names_in_different_folders_are_different_pairs(write_tar: WriteTar, photo: Photo) -> None:
    url = write_tar(
        "a.tar", [(f"{folder}/1.{kind}", data) for folder in "ab" for kind, data in (("png", photo()), ("txt", folder))]
    )
    assert [item.key for item in read_shard(url) if isinstance(item, Raw)] == ["a/1", "b/1"]
    assert count_pairs(url) == 2


def test_a_name_used_twice_costs_itself_only(write_tar: WriteTar, photo: Photo) -> None:
    members = [("a.png", photo(1)), ("a.txt", "first"), ("a.TXT", "second"), ("b.png", photo()), ("b.txt", "next")]
    url = write_tar("a.tar", members)
    assert captions(url) == ["first", "next"]
    assert faults(url) == [("name used twice", "")]


def test_links_and_folders_in_a_tar_are_passed_over(tmp_path: Path, photo: Photo) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in (("f.png", tarfile.DIRTYPE), ("l.png", tarfile.SYMTYPE), ("d.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            tar.addfile(info)
        for name, data in (("a.png", photo()), ("a.txt", b"real")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert captions(str(tmp_path / "a.tar")) == ["real"]
    assert faults(str(tmp_path / "a.tar")) == []


def test_shards_that_are_none(tmp_path: Path, write_tar: WriteTar) -> None:
    (tmp_path / "empty.tar").touch()
    (tmp_path / "text.tar").write_text("404: not found\n" * 100)
    (tmp_path / "short.tar").write_text("404")
    (tmp_path / "folder.tar").mkdir()
    cause = {name: faults(str(tmp_path / f"{name}.tar")) for name in ("empty", "text", "short", "folder", "none")}
    assert cause == {
        "empty": [("empty tar", "")],
        "text": [("not a tar", "")],
        "short": [("not a tar", "")],
        "folder": [("unreadable shard", "")],
        "none": [("missing shard", "")],
    }
    assert faults(write_tar("nothing.tar", [])) == [("tar without pairs", "")]
    assert faults(write_tar("other.tar", [("a.cls", "1"), ("b.npy", "2")])) == [("tar without pairs", "")]


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
def test_truncated_tar_gives_what_is_whole_and_says_so(
    tmp_path: Path, write_shards: Callable[[list[int]], list[str]], share: float
) -> None:
    (url,) = write_shards([10])
    content = Path(url).read_bytes()
    whole = 10 * 4 * 512  # a header and one block for each member
    for end in range(int(whole * share), int(whole * share) + 2048, 256):
        Path(url).write_bytes(content[:end])
        readable = [str(number) for number in range((end + 256) // 2048)]  # the last block may lack its padding
        assert captions(url) == readable
        assert ("truncated tar", "") in faults(url)
        assert count_pairs(url) - len(readable) in (0, 1)  # the header of the last one may be whole


def test_tar_without_its_end_mark_is_truncated_even_if_every_pair_is_whole(
    write_shards: Callable[[list[int]], list[str]],
) -> None:
    (url,) = write_shards([3])
    Path(url).write_bytes(Path(url).read_bytes()[: 3 * 2048])
    assert captions(url) == ["0", "1", "2"]
    assert faults(url) == [("truncated tar", "")]


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(
    write_shards: Callable[[list[int]], list[str]],
) -> None:
    (url,) = write_shards([6])
    content = bytearray(Path(url).read_bytes())
    content[3 * 2048 + 5] ^= 0xFF
    Path(url).write_bytes(content)
    assert captions(url) == ["0", "1", "2"]
    assert faults(url) == [("damaged tar", "")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.booleans())
def test_no_damage_whatever_raises(
    tmp_path: Path, write_shards: Callable[[list[int]], list[str]], seed: int, zipped: bool
) -> None:
    (url,) = write_shards([4])
    chance = random.Random(seed)
    content = bytearray(gzip.compress(Path(url).read_bytes()) if zipped else Path(url).read_bytes())
    for _ in range(chance.randint(1, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content[: chance.randint(1, len(content))])
    for item in read_shard(str(damaged)):
        assert isinstance(item, Raw | Fault)
    try:
        assert count_pairs(str(damaged)) >= 0
    except DataError as error:
        assert str(damaged) in str(error)  # noqa: PT017 - both outcomes are right


def test_pipes_are_read_to_their_end(write_shards: Callable[[list[int]], list[str]]) -> None:
    (url,) = write_shards([30])
    assert captions(f"pipe:cat '{url}'") == [str(number) for number in range(30)]
    zeros = Path(url).with_suffix(".zeros")
    zeros.write_bytes(bytes(3_000_000))
    assert faults(f"pipe:exec cat '{url}' '{zeros}'") == []  # cut off at the end of the tar, cat would fail


@pytest.mark.parametrize(
    "command", ["cat '{url}'; exit 3", "head -c 6144 '{url}'; exit 3", "exit 3", "sleep 0.2; exit 3"]
)
def test_a_failing_pipe_is_a_fault_even_after_a_whole_tar(
    write_shards: Callable[[list[int]], list[str]], command: str
) -> None:
    (url,) = write_shards([3])
    pipe = f"pipe:{command.format(url=url)}"
    assert faults(pipe) == [("unreadable shard", "")]
    (fault,) = (item for item in read_shard(pipe) if isinstance(item, Fault))
    assert "exit 3" in fault.detail


def test_a_truncated_pipe_is_no_failing_command(write_shards: Callable[[list[int]], list[str]]) -> None:
    (url,) = write_shards([10])
    assert ("truncated tar", "") in faults(f"pipe:head -c 5000 '{url}'")


def test_a_pipe_that_is_left_early_ends_at_once(write_shards: Callable[[list[int]], list[str]]) -> None:
    (url,) = write_shards([3])
    items = read_shard(f"pipe:cat '{url}' '{url}' && cat /dev/zero")
    assert isinstance(next(items), Raw)
    began = time.monotonic()
    items.close()
    assert time.monotonic() - began < 5


def test_unknown_kinds_of_address_are_faults_when_they_get_so_far() -> None:
    assert faults("ftp9://nowhere/a.tar") == [("unreadable shard", "")]


def test_count_agrees_with_what_is_read(write_tar: WriteTar, photo: Photo) -> None:
    members = [("1.png", photo()), ("1.txt", "a"), ("2.txt", "b"), ("2.jpg", photo(0, "jpeg")), ("3.png", photo())]
    apart = write_tar("apart.tar", [("1.png", photo()), ("2.png", photo()), ("1.txt", "a"), ("2.txt", "b")])
    assert count_pairs(write_tar("a.tar", members)) == 2
    assert count_pairs(apart) == len(captions(apart)) == 0


def test_counting_says_what_is_wrong(tmp_path: Path, write_tar: WriteTar) -> None:
    (tmp_path / "empty.tar").touch()
    with pytest.raises(DataError, match=r"empty\.tar is not a readable tar: it is empty.*leave it out"):
        count_pairs(str(tmp_path / "empty.tar"))
    (tmp_path / "text.tar").write_text("<html>" * 500)
    with pytest.raises(DataError, match=r"text\.tar is not a readable tar: file could not be opened success"):
        count_pairs(str(tmp_path / "text.tar"))
    with pytest.raises(DataError, match=r"none\.tar cannot be opened: No such file"):
        count_pairs(str(tmp_path / "none.tar"))
    with pytest.raises(DataError, match=r"pairs of pipe:cat x\.tar cannot be counted.*--set data\.samples=N"):
        count_pairs("pipe:cat x.tar")


def test_no_pairs_at_all_explains_what_a_pair_is(write_tar: WriteTar) -> None:
    url = write_tar("a.tar", [("a.cls", "1")])
    with pytest.raises(DataError, match=r"no pairs in .*a\.tar and the others: a pair is an image \(jpg.*first dot"):
        ShardSource([url, url], None)
    assert ShardSource([url], 5).size == 5


def test_source_describes_itself(write_shards: Callable[[list[int]], list[str]]) -> None:
    urls = write_shards([2, 3])
    source = ShardSource(urls, None)
    assert source.description == "5 pairs in 2 shards"
    assert (source.size, source.shards) == (5, 2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 4), min_size=1, max_size=7), st.data())
def test_shards_are_dealt_out_without_rest_and_skipping_is_exact(
    write_shards: Callable[[list[int]], list[str]], sizes: list[int], data: st.DataObject
) -> None:
    source = ShardSource(write_shards(sizes), None)
    count, epoch = data.draw(st.integers(1, len(sizes))), data.draw(st.integers(0, 3))
    shares = [list(source.read(WorkerPass(number, count, epoch, 7))) for number in range(count)]
    assert sorted(int(item.caption) for share in shares for item in share) == list(range(sum(sizes)))  # type: ignore[union-attr]
    skip = data.draw(st.integers(0, len(shares[0])))
    rest = source.read(WorkerPass(0, count, epoch, 7), skip)
    assert [item.key for item in rest] == [item.key for item in shares[0][skip:]]


def test_shard_order_changes_with_the_epoch_and_read_all_does_not_shuffle(
    write_shards: Callable[[list[int]], list[str]],
) -> None:
    source = ShardSource(write_shards([1] * 8), None)
    orders = [[item.key for item in source.read(WorkerPass(0, 1, epoch, 3))] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert [item.key for item in source.read_all()] == [f"{number:05d}" for number in range(8)]


def test_picture_is_opened_late(write_tar: WriteTar) -> None:
    (item,) = read_shard(write_tar("a.tar", [("a.jpg", b"no picture"), ("a.txt", "text")]))
    assert isinstance(item, Raw)
    with pytest.raises(NotAnImageError):
        item.picture()
