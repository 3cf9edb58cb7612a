from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_sound_data_ends_with_0_faulty_with_1_and_none_with_2(
    cli: Callable[..., Any], tmp_path: Path, shard: Callable[..., Path]
) -> None:
    shard("a.tar", range(4))
    said = cli("data", "check", "a.tar", "--json", "found.json")
    assert (said.code, said.err) == (0, "")
    assert "4 that can be trained on in 1 shard" in said.out
    assert json.loads((tmp_path / "found.json").read_text())["pairs"] == 4
    shard("b.tar", range(4, 6), ("x.jpg", b"?"), ("x.txt", b"broken"))
    said = cli("data", "check", "{a,b}.tar")
    assert said.code == 1
    assert "b.tar: x.jpg" in said.out
    assert cli("data", "check", "a.tar", "--workers", "2").code == 1
    said = cli("data", "check", "c.tar")
    assert said.code == 2
    assert "No file matches 'c.tar'" in said.err
