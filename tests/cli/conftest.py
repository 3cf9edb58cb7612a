"""The command line, called as a user calls it but within this process; and the smallest run that it can start."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import pytest
from PIL import Image

from pgsclip.cli.app import main

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`cli("train", "--dry-run")` in an empty folder; anything but SystemExit is a traceback and fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        said = capfd.readouterr()
        return Said(int(stop.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registered model that is smaller than ours: a step takes milliseconds, a checkpoint 10 MB."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "pgsclip-test.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)
    return "pgsclip-test"


@pytest.fixture
def train(cli: Callable[..., Said], model: str) -> Callable[..., Said]:
    """`train("--masker", "pgs", "optim.lr=1")`: three steps on generated scenes into ./run, without evaluation.

    Words with an equals sign are settings.
    """
    defaults = (f"model.name={model}", "data.samples=64", "data.workers=0", "evaluate.data=null")

    def call(*words: str) -> Said:
        options = [word for word in words if "=" not in word]
        settings = [*defaults, *(word for word in words if "=" in word)]
        short = ("train", "--steps", "3", "--batch-size", "8", "--out", "run")
        return cli(*short, *options, *(word for setting in settings for word in ("--set", setting)))

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A Python process of its own, in the empty folder."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        known = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **variables}
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=known, capture_output=True, text=True, timeout=200
        )

    return call


@pytest.fixture
def shard(tmp_path: Path) -> Callable[..., Path]:
    """(name, numbers, other members …) → a tar of pairs, each with a picture and a caption of its own number."""

    def write(name: str, numbers: range, *others: tuple[str, bytes]) -> Path:
        members = [*others]
        for number in numbers:
            content = io.BytesIO()
            cells = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
            Image.fromarray(cells).resize((64, 48)).save(content, "png")
            members += [(f"{number}.png", content.getvalue()), (f"{number}.txt", f"number {number}".encode())]
        with tarfile.open(tmp_path / name, "w") as tar:
            for member, data in members:
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return tmp_path / name

    return write
