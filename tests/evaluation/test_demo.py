from __future__ import annotations

import json
from pathlib import Path

import pytest
from clip_benchmark.datasets.builder import build_dataset

from pgsclip.config.suites import DEMO, Job
from pgsclip.evaluation.demo import write_demo_sets
from pgsclip.evaluation.layouts import locate


def test_every_set_of_the_demo_is_whole_and_stays_as_it_is(tmp_path: Path) -> None:
    write_demo_sets(tmp_path)
    for family, names in DEMO.items():
        for name in names:
            assert locate(Job(family, name), tmp_path).dataset == name
    path = tmp_path / "wds_demo-shapes/test/0.tar"
    before = path.stat().st_mtime_ns
    write_demo_sets(tmp_path)
    assert path.stat().st_mtime_ns == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_right_and_wrong_captions_differ_in_colour_only(tmp_path: Path) -> None:
    write_demo_sets(tmp_path)
    entries = json.loads((tmp_path / "sugar_crepe/swap_att.json").read_text()).values()
    for entry in entries:
        right, wrong = entry["caption"].split(), entry["negative_caption"].split()
        assert right[1] != wrong[1]
        assert right[2:] == wrong[2:]
    found = build_dataset(
        "sugar_crepe/swap_att", root=str(tmp_path / "sugar_crepe"), task="image_caption_selection", download=False
    )
    assert len(found) == len(entries)
