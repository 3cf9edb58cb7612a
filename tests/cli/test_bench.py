from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY = ("bench", "step", "--model", "pgsclip-smoke", "--batch-size", "2", "--repeats", "1", "--device", "cpu")


def test_a_fresh_process_knows_our_own_models_and_writes_its_figures(
    process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = process("-m", "pgsclip", *TINY, "--masker", "random", "--json", "costs.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "costs.json").read_text())
    assert [cost["name"] for cost in figures] == ["open_clip, no mask", "open_clip, patch_dropout 0.5", "random 0.5"]
    assert figures[2]["kept"] == 0.5
    lines = done.stdout.strip().splitlines()
    assert " ".join(lines[-4].split()) == "variant seconds of open_clip's kept of its arithmetic MFU memory GiB"
    assert re.fullmatch(r"random 0\.5 +\d+\.\d{3} +\d+\.\d{3} +50% +\d+\.\d\d +\d+%", lines[-1])
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ratio", "2"], r"--ratio: '2' is outside \[0, 1\)"),
        (["--model", "foo"], "Unknown model 'foo'"),
        (["--device", "gpu"], "There is no kind of device 'gpu'; give auto, cpu, cuda or mps"),
        (["--masker", "rndom"], "Unknown masker 'rndom'. Did you mean 'random'"),
        (["--masker", "random", "--ratio", "0.3:0.5"], "'random' does not choose a ratio per image"),
        (
            ["--masker", "none", "--json", "no/folder.json"],
            "The figures cannot be written to no/folder.json: No such file or directory",
        ),
        (["--repeats", "0"], "Invalid value for '--repeats'"),
    ],
)
def test_mistakes_are_sentences(cli: Callable[..., Any], words: list[str], sentence: str) -> None:
    said = cli(*TINY, *words)
    assert said.code == 2
    assert re.search(sentence, said.err), said.err


def test_maskers_are_timed_beside_the_straightforward_method(cli: Callable[..., Any], tmp_path: Path) -> None:
    tiny = ("--image-size", "32", "--patch-size", "8", "--width", "6", "--batch-size", "2", "--repeats", "1")
    said = cli("bench", "maskers", *tiny, "--device", "cpu", "--json", str(tmp_path / "costs.json"))
    assert said.code == 0, said.err
    names = [cost["name"] for cost in json.loads((tmp_path / "costs.json").read_text())]
    assert names[0] == "straightforward pgs"
    assert {"random", "centered", "cluster", "pgs", "salient"} < set(names)
    table = said.out.strip().splitlines()[-len(names) :]
    assert [line.split("  ")[0] for line in table] == names
