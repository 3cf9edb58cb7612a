"""A slim container has no libGL: `import cv2` fails there, in a process of its own here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REASON = "libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.fixture
def slim(tmp_path: Path) -> dict[str, str]:
    """The environment of such a container, with a folder of four pairs and a picture in `tmp_path`."""
    stub = tmp_path / "stub" / "cv2"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text(f"raise ImportError({REASON!r})\n")
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(pairs / f"{number}.png")
        (pairs / f"{number}.txt").write_text(f"picture {number}")
    paths = [str(stub.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(slim: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pgsclip", *arguments]
    return subprocess.run(command, cwd=folder, env=slim, capture_output=True, text=True, timeout=300, check=False)


def test_training_and_pictures_need_no_opencv(slim: dict[str, str], tmp_path: Path) -> None:
    small = ["--batch-size", "4", "--steps", "1", "--set", "data.samples=8", "--set", "data.workers=0"]
    trained = run(
        slim, tmp_path, "train", "--recipe", "smoke", "--data", "pairs", "--masker", "pgs", "--ratio", "0.5", *small,
        "--set", "evaluate.data=null", "--set", "optim.warmup_steps=0", "--out", "run",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    drawn = run(slim, tmp_path, "viz-mask", "pairs/0.png", "--masker", "pgs", "--out", "sheet.png")
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "sheet.png").is_file()


def test_what_needs_opencv_names_the_packages(slim: dict[str, str], tmp_path: Path) -> None:
    found = run(slim, tmp_path, "viz-mask", "pairs/0.png", "--masker", "pgs edges=canny", "--out", "sheet.png")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    said = " ".join(found.stderr.split())
    for word in ("libGL.so.1", "libgl1", "libglib2.0-0", "opencv-python-headless"):
        assert word in said
