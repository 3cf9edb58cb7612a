"""What runs on a machine without libGL, as in slim containers, and without a DeepSpeed that can be imported.

Each command is a process of its own, in which `import cv2` and `import deepspeed` fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsclip.evaluation.demo import write_shards

pytestmark = pytest.mark.xdist_group("missing libraries")  # one run serves them all

REASON = "libGL.so.1: cannot open shared object file: No such file or directory"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
SMALL = (
    "--recipe smoke --data pairs --ratio 0.5 --batch-size 4 --steps 1 --set data.workers=0 --set evaluate.data=null "
    "--set optim.warmup_steps=0 --set engine.name=torch"
)


def picture(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight pairs, an evaluation set of two classes and the libraries that fail."""
    folder = tmp_path_factory.mktemp("slim")
    for library, reason in (("cv2", REASON), ("deepspeed", "it is not wanted here")):
        stub = folder / f"without-{library}" / library / "__init__.py"
        stub.parent.mkdir(parents=True)
        stub.write_text(f"raise ImportError({reason!r})\n")
    (folder / "pairs").mkdir()
    for number in range(8):
        picture(number).save(folder / "pairs" / f"{number}.png")
        (folder / "pairs" / f"{number}.txt").write_text(f"picture {number}")
    classes = folder / "sets" / "wds_two"
    write_shards(classes, "test", [(picture(number), "cls", str(number % 2)) for number in range(4)], 1)
    (classes / "classnames.txt").write_text("cat\ndog")
    (classes / "zeroshot_classification_templates.txt").write_text("a photo of a {c}")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Run a command of pgsclip there, without these libraries."""

    def call(*arguments: str, without: Sequence[str] = ("cv2", "deepspeed")) -> subprocess.CompletedProcess[str]:
        paths = [str(place / f"without-{library}") for library in without]
        paths += filter(None, [os.environ.get("PYTHONPATH")])
        slim = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "pgsclip", *arguments]
        return subprocess.run(command, cwd=place, env=slim, capture_output=True, text=True, timeout=300, check=False)

    return call


@pytest.fixture(scope="module")
def trained(run: Run, place: Path) -> Path:
    done = run("train", "--masker", "pgs", *SMALL.split(), "--out", "runs/mine")
    assert done.returncode == 0, done.stderr
    return place / "runs" / "mine"


def test_a_run_of_the_torch_engine(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert any("loss" in row for row in rows)


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("viz-mask pairs/0.png --masker pgs --out sheet.png", "sheet.png"),
        ("eval zeroshot runs/mine --eval-root sets --datasets wds/two --workers 0 --out results", "results"),
    ],
    ids=lambda value: value.split()[0],
)
def test_commands_on_that_run(command: str, left: str, trained: Path, run: Run, place: Path) -> None:
    done = run(*command.split())
    assert done.returncode == 0, done.stderr
    assert (place / left).exists()


def test_an_export_draws_pictures_and_imports_no_deepspeed(trained: Path, run: Run, place: Path) -> None:
    done = run("export", "runs/mine", "--to", "safetensors", "--out", "exported", without=["deepspeed"])
    assert done.returncode == 0, done.stderr
    assert (place / "exported" / "model.safetensors").is_file()


def test_an_engine_that_cannot_be_imported_names_the_other(run: Run) -> None:
    done = run("train", *SMALL.split(), "--set", "engine.name=deepspeed", "--out", "runs/zero")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "DeepSpeed cannot be imported: it is not wanted here" in " ".join(done.stderr.split())
    assert "engine.name=torch" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["viz-mask", "pairs/0.png", "--masker", "pgs edges=canny", "--out", "canny.png"], id="canny"),
        pytest.param(["data", "check", "pairs", "--jobs", "1"], id="duplicates"),
        pytest.param(["train", "--out", "runs/drawn"], id="generated pictures"),
    ],
)
def test_what_needs_opencv_names_the_packages(command: list[str], run: Run) -> None:
    found = run(*command)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    said = " ".join(found.stderr.split())
    for word in ("libGL.so.1", "libgl1", "libglib2.0-0", "opencv-python-headless"):
        assert word in said
