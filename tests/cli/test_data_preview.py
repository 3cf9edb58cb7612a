from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image


def test_a_sheet_of_pairs_with_a_masker(cli: Callable[..., Any], tmp_path: Path, shard: Callable[..., Path]) -> None:
    shard("a.tar", range(4))
    said = cli("data", "preview", "a.tar", "--out", "sheet.png", "--masker", "pgs", "--count", "3")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("sheet.png  (")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 2 * 224
    said = cli("data", "preview", "a.tar", "--ratio", "0.5")
    assert said.code == 2
    assert "Name one with --masker" in said.err
