"""Every kind of fault, planted; `check_data` finds each one and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.config.schema import DataConfig
from pgsclip.data.check import check_data
from pgsclip.errors import DataError

WriteTar = Callable[..., str]
Photo = Callable[..., bytes]


@pytest.fixture
def pairs(picture: Photo) -> Callable[..., list[tuple[str, bytes | str]]]:
    """Sound pairs of these numbers, each with a picture and a caption of its own."""

    def make(*numbers: int) -> list[tuple[str, bytes | str]]:
        return [
            member
            for number in numbers
            for member in ((f"{number:04d}.jpg", picture(number)), (f"{number:04d}.txt", f"number {number}"))
        ]

    return make


def places(spec: str) -> list[tuple[str, str, str]]:
    return [(fault.cause, Path(fault.shard).name, fault.key) for fault in check_data(spec, jobs=1).faults]


def test_sound_data_has_no_finding(write_tar: WriteTar, pairs: Callable[..., list[tuple[str, bytes | str]]]) -> None:
    spec = f"{write_tar('a.tar', pairs(*range(5)))}::{write_tar('b.tar', pairs(*range(5, 12)))}"
    told: list[tuple[int, int]] = []
    check = check_data(spec, jobs=1, on_progress=lambda done, total: told.append((done, total)))
    assert check.sound
    assert (check.shards, check.pairs, check.fewest, check.most) == (2, 12, 5, 7)
    assert (check.faults, check.duplicates, check.overlaps, check.starving) == ([], [], {}, "")
    assert check.formats == {"JPEG": 12}
    assert check.sizes == {(64, 64): 12}
    assert check.tokens == {4: 10, 5: 2}  # start, number, one token a digit, end
    assert told == [(1, 2), (2, 2)]


def test_each_planted_fault_is_found_with_its_member_and_nothing_else(
    tmp_path: Path, write_tar: WriteTar, picture: Photo, pairs: Callable[..., list[tuple[str, bytes | str]]]
) -> None:
    sound = pairs(*range(6))
    cut = write_tar("cut.tar", pairs(10, 11, 12))
    whole = Path(cut).read_bytes()
    Path(cut).write_bytes(whole[: whole.index(b"0012.jpg") + 900])
    head = write_tar("damaged.tar", pairs(20, 21))
    content = bytearray(Path(head).read_bytes())
    at = content.index(b"0021.jpg")
    content[at + 150] ^= 0xFF  # in the checksum of a header
    Path(head).write_bytes(content)
    write_tar(
        "members.tar",
        [
            *sound,
            ("halved.jpg", picture(30)[:400]),
            ("halved.txt", "an image that ends in the middle"),
            ("page.jpg", "<html>not found</html>"),
            ("page.txt", "no image at all"),
            ("wordless.png", picture(31, "png")),
            ("wordless.txt", " \n"),
            ("alone.jpg", picture(32)),
            ("imageless.txt", "a caption alone"),
            ("note.json", '{"caption": 3}'),
        ],
    )
    write_tar("twice.tar", [*pairs(40), *pairs(41)[:1], *pairs(41)[:1], ("0041.txt", "twice")])
    (tmp_path / "empty.tar").touch()
    (tmp_path / "text.tar").write_text("<html>" * 500)
    write_tar("without.tar", [("readme.md", "nothing")])
    found = places(str(tmp_path))
    assert sorted(found) == sorted(
        [
            ("truncated tar", "cut.tar", ""),
            ("damaged tar", "damaged.tar", ""),
            ("corrupt image", "members.tar", "halved.jpg"),
            ("corrupt image", "members.tar", "page.jpg"),
            ("empty caption", "members.tar", "wordless"),
            ("image without caption", "members.tar", "alone"),
            ("caption without image", "members.tar", "imageless"),
            ("caption without image", "members.tar", "note"),
            ("name used twice", "twice.tar", ""),
            ("empty tar", "empty.tar", ""),
            ("not a tar", "text.tar", ""),
            ("tar without pairs", "without.tar", ""),
        ]
    )


def test_duplicates_and_repeated_captions_are_told_and_are_no_fault(
    write_tar: WriteTar, picture: Photo, pairs: Callable[..., list[tuple[str, bytes | str]]]
) -> None:
    again = [("0050.png", picture(3, "png", 48)), ("0050.txt", "number 3")]
    one, other = write_tar("a.tar", pairs(*range(6))), write_tar("b.tar", [*pairs(7), *again])
    check = check_data(f"{one}::{other}", jobs=1)
    assert check.duplicates == [[f"{one}: 0003.jpg", f"{other}: 0050.png"]]
    assert check.captions == {"number 3": 2}
    assert check.sound


def test_an_image_that_is_evaluated_on_is_found_as_a_file_and_as_a_picture(
    tmp_path: Path, write_tar: WriteTar, picture: Photo, pairs: Callable[..., list[tuple[str, bytes | str]]]
) -> None:
    spec = write_tar("a.tar", pairs(*range(4)))
    held = [("s0.jpg", picture(1)), ("s1.webp", picture(2, "webp", 40)), ("s2.jpg", picture(60)), ("s3.jpg", "broken")]
    write_tar("sets/wds_mine/test/0.tar", held)
    check = check_data(spec, eval_root=tmp_path / "sets", jobs=1)
    assert not check.sound
    found = check.overlaps["wds_mine"]
    assert (found.images, found.unreadable) == (4, 1)
    assert [tuple(one) for one in found.seen] == [
        ("wds_mine/test/0.tar: s0.jpg", (f"{spec}: 0001.jpg",), True),
        ("wds_mine/test/0.tar: s1.webp", (f"{spec}: 0002.jpg",), False),
    ]


def test_more_loader_workers_than_shards_is_a_finding(
    write_tar: WriteTar, pairs: Callable[..., list[tuple[str, bytes | str]]]
) -> None:
    spec = f"{write_tar('a.tar', pairs(1))}::{write_tar('b.tar', pairs(2))}"
    assert check_data(spec, ranks=2, jobs=1).loaders.startswith("2 shards feed up to 1 loader workers in each of 2")
    check = check_data(spec, ranks=2, config=DataConfig(workers=2), jobs=1)
    assert "2 shards for 2 workers in each of 2 processes" in check.starving
    assert not check.sound


def test_shards_read_side_by_side_give_the_same(
    write_tar: WriteTar, pairs: Callable[..., list[tuple[str, bytes | str]]]
) -> None:
    spec = "::".join(write_tar(f"{n}.tar", [*pairs(2 * n, 2 * n + 1), (f"x{n}.txt", "alone")]) for n in range(3))
    assert check_data(spec, jobs=2) == check_data(spec, jobs=1)


def test_a_folder_and_a_table_are_checked_file_by_file(tmp_path: Path, picture: Photo) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(picture(number) if number else b"broken")
        (folder / f"{number}.txt").write_text(f"number {number}")
    check = check_data(str(folder))
    assert (check.shards, check.pairs) == (None, 2)
    assert [(fault.cause, fault.key) for fault in check.faults] == [("corrupt image", str(folder / "0.jpg"))]
    table = folder / "pairs.csv"
    table.write_text("filepath,title\n1.jpg,one\n9.jpg,gone\n")
    assert [fault.cause for fault in check_data(str(table)).faults] == ["missing image"]


def test_generated_pairs_cannot_be_checked() -> None:
    with pytest.raises(DataError, match="'generated' are made while training"):
        check_data("generated")
