from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image


def test_make_says_what_was_made_and_what_was_left_out(cli: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (50, 40), (90 * number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"number {number}")
    (folder / "2.png").write_bytes(b"broken")
    said = cli(
        "data", "make", "photos", "shards", "--side", "20", "--per-shard", "1", "--json", "made.json", "--jobs", "1"
    )
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("2 pairs in 2 shards\nleft out: 1 x corrupt image (first: photos/2.png")
    assert said.out.endswith("train with: pgsclip train --recipe clipart --data shards\n")
    assert json.loads((tmp_path / "made.json").read_text()) == {
        "pairs": 2,
        "shards": 2,
        "refused": {"corrupt image": 1},
    }
    assert cli("data", "make", "photos", "shards", "--side", "20", "--per-shard", "1").out.startswith(
        "2 pairs in 2 shards, 3 of them made before"
    )
    assert cli("data", "make", "nothing", "other").code == 2
