from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write(path: Path, numbers: range, *more: tuple[str, bytes]) -> None:
    members: list[tuple[str, bytes]] = [*more]
    for number in numbers:
        content = io.BytesIO()
        cells = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((32, 32)).save(content, "png")
        members += [(f"{number}.png", content.getvalue()), (f"{number}.txt", f"number {number}".encode())]
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def test_sound_data_ends_with_0_faulty_with_1_and_none_with_2(cli: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "a.tar", range(4))
    said = cli("data", "check", "a.tar", "--json", "found.json")
    assert (said.code, said.err) == (0, "")
    assert "4 that can be trained on in 1 shard" in said.out
    assert json.loads((tmp_path / "found.json").read_text())["pairs"] == 4
    write(tmp_path / "b.tar", range(4, 6), ("x.jpg", b"?"), ("x.txt", b"broken"))
    said = cli("data", "check", "{a,b}.tar")
    assert said.code == 1
    assert "b.tar: x.jpg" in said.out
    assert cli("data", "check", "a.tar", "--workers", "2").code == 1
    said = cli("data", "check", "c.tar")
    assert said.code == 2
    assert "No file matches 'c.tar'" in said.err
