from __future__ import annotations

import tarfile
from pathlib import Path

from pgsclip.evaluation.demo import write_demo_sets
from pgsclip.evaluation.layouts import locate, places
from pgsclip.results.suites import DEMO, PAPER, Job


def test_every_set_of_the_demo_is_whole_and_stays_as_it_is(tmp_path: Path) -> None:
    write_demo_sets(tmp_path)
    for family, names in DEMO.items():
        for name in names:
            assert locate(Job(family, name), tmp_path).dataset == name
    path = tmp_path / "wds_demo-shapes/test/0.tar"
    before = path.stat().st_mtime_ns
    write_demo_sets(tmp_path)
    assert path.stat().st_mtime_ns == before


def test_sets_of_an_earlier_demo_are_completed(tmp_path: Path) -> None:
    (tmp_path / "complete").touch()
    write_demo_sets(tmp_path)
    assert locate(Job("compositionality", "demo-colours"), tmp_path).task == "selection"


def test_a_demo_does_not_look_like_a_published_benchmark(tmp_path: Path) -> None:
    published = {name for names in PAPER.values() for name in names}
    assert not published & {name for names in DEMO.values() for name in names}
    write_demo_sets(tmp_path)
    for name in published:
        assert not any(place.exists() for place in places(name, tmp_path)), name


def test_right_and_wrong_captions_differ_in_colour_only(tmp_path: Path) -> None:
    write_demo_sets(tmp_path)
    with tarfile.open(tmp_path / "wds_demo-colours/test/0.tar") as tar:
        texts = [tar.extractfile(member).read().decode() for member in tar if member.name.endswith(".txt")]  # type: ignore[union-attr]
    assert len(texts) == 96
    for text in texts:
        right, wrong = (line.split() for line in text.splitlines())
        assert right[1] != wrong[1]
        assert right[2:] == wrong[2:]
