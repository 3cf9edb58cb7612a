from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsclip.config.ratio import Ratio
from pgsclip.errors import DataError
from pgsclip.masking.masker_syntax import parse_masker
from pgsclip.viz.contact_sheet import draw_contact_sheet
from pgsclip.viz.explain import MaskerColumn
from pgsclip.viz.pictures import SIDE
from pgsclip.viz.sheet import HIDDEN


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """Five pairs of one colour each and a broken one."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(6):
            content = io.BytesIO(b"broken")
            if number != 2:
                Image.new("RGB", (60, 40), (50 * number, 0, 0)).save(content, "png")
            for name, data in (
                (f"{number}.png", content.getvalue()),
                (f"{number}.txt", b"number %d" % number + b" x" * 40),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return str(tmp_path / "a.tar")


def test_pairs_stand_with_captions_and_masks_in_rows(spec: str) -> None:
    column = MaskerColumn(parse_masker("random"), Ratio(0.25, 0.25))
    rows = draw_contact_sheet(spec, [column], count=9, across=2, seed=0)
    assert [len(row) for row in rows] == [4, 4, 2]
    panels = [panel for row in rows for panel in row]
    originals = panels[::2]
    assert sorted(panel.title for panel in originals) == ["0", "1", "3", "4", "5"] != [p.title for p in originals]
    for panel in originals:
        assert panel.image.size == (SIDE, SIDE)
        assert panel.note.startswith(f"number {panel.title} x")
        assert panel.note.endswith(" …")
        assert np.asarray(panel.image)[5, 5].tolist() == [50 * int(panel.title), 0, 0]
    hidden = [(np.asarray(panel.image) == HIDDEN).all(-1).tobytes() for panel in panels[1::2]]
    assert len(set(hidden)) == 5, "each picture has a mask of its own"
    assert {(panel.title, panel.note) for panel in panels[1::2]} == {("random 0.25", "kept 75%")}


def test_another_seed_draws_others_and_the_same_the_same(spec: str) -> None:
    drawn = [[p.title for p in draw_contact_sheet(spec, [], count=2, across=2, seed=seed)[0]] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_data_that_cannot_be_shown_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"broken")
    (tmp_path / "a.txt").write_text("caption")
    with pytest.raises(DataError, match=r"Nothing in .* can be shown; `pgsclip data check` tells"):
        draw_contact_sheet(str(tmp_path), [], count=2, across=2, seed=0)
