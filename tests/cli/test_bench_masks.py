from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TINY = ("bench", "masks", "--count", "8", "--image-size", "64", "--patch-size", "8")


def test_every_masker_is_measured_and_written_down(cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli(*TINY, "--json", "figures.json", "--plot", "recall.png")
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "figures.json").read_text())
    assert (report["images"], report["count"], report["views"], report["seed"]) == ("generated", 8, 2, 0)
    measured = {(row["masker"], row["ratio"]) for row in report["rows"]}
    for name in ("random", "centered", "cluster", "pgs", "salient"):
        assert {(name, "0.3"), (name, "0.5"), (name, "0.7")} <= measured
        assert re.search(rf"^{name} +0\.5 +[01]\.\d{{3}} ± 0\.\d{{3}} ", said.out, re.M)
    assert "object recall of" in said.out
    assert "pictures 0 to 8 of 8\n" in said.err
    with Image.open(tmp_path / "recall.png") as picture:
        assert picture.size == (900, 520)


def test_a_folder_and_parameters(cli: Callable[..., Any], tmp_path: Path) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    pixels[16:40, 24:48] = (200, 40, 40)
    mask = (pixels[..., 0] == 200).astype(np.uint8) * 255
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(mask))
    image.save(tmp_path / "square.png")
    said = cli(*TINY, "--images", ".", "--masker", "salient noise=0", "--masker", "none", "--ratios", "0.5,0.3:0.8")
    assert said.code == 0, said.err
    assert said.out.startswith("1 pictures, 2 views each")
    assert re.search(r"^salient noise=0 +0\.5 +1\.000 ± 0\.000 ", said.out, re.M)
    assert re.search(r"^salient noise=0 +0\.3:0\.8 +1\.000 ± 0\.000 ", said.out, re.M)
    assert "object recall of" not in said.out, "one folder is one group"


def test_under_a_range_maskers_that_cannot_choose_are_left_out_by_name(cli: Callable[..., Any]) -> None:
    said = cli(*TINY, "--ratios", "0.3:0.7")
    assert said.code == 0, said.err
    assert "left out: the masker 'random' does not choose a ratio per image" in said.err
    assert "random" not in said.out
    assert "salient" in said.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ratios", "0.5,2"], r"--ratios: '2' is outside \[0, 1\)"),
        (["--ratios", ""], "--ratios: '' is not a ratio"),
        (["--masker", "pgss"], "Unknown masker 'pgss'. Did you mean 'pgs'"),
        (["--masker", "pgs edge=1"], "'edge' is unknown. Did you mean 'edges'"),
        (["--masker", "random", "--ratios", "0.3:0.5"], "'random' does not choose a ratio per image"),
        (["--images", "nowhere"], "There is no folder nowhere"),
        (["--patch-size", "7"], "Pictures of 64 x 64 pixels cannot be cut into patches of 7"),
        (["--views", "1"], "Invalid value for '--views'"),
        (["--masker", "random", "--json", "no/f.json"], "The figures cannot be written to no/f.json: No such file"),
        (
            ["--masker", "random", "--plot", "no/p.png"],
            "cannot be written to no/p.png: .* Give another --plot",
        ),
    ],
)
def test_mistakes_are_sentences(cli: Callable[..., Any], words: list[str], sentence: str) -> None:
    said = cli(*TINY, *words)
    assert said.code == 2
    assert re.search(sentence, said.err), said.err
