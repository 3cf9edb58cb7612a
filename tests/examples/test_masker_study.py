from __future__ import annotations

import io
import json
import runpy
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image

from pgsclip.evaluation.demo import write_demo_sets

FOLDER = Path(__file__).parents[2] / "examples" / "masker-study"
TINY = ["--sets", "wds/demo-shapes", "--variants", "none,random-0.5", "--seeds", "1", "--jobs", "1"]
TINY += ["--set", "optim.steps=4", "--set", "data.batch_size=8", "--set", "log.every_steps=2"]
TINY += ["--set", "data.samples=64", "--set", "model.name=pgsclip-study-test", "--set", "model.image_size=32"]
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`study("--table")`: the script, tiny, in an empty folder with generated data and sets."""
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("models/pgsclip-study-test.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "models")
    monkeypatch.syspath_prepend(str(FOLDER))
    write_demo_sets(Path("sets"))

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["study.py", "--train", "generated", "--eval", "sets", *TINY, *arguments])
        runpy.run_path(str(FOLDER / "study.py"), run_name="__main__")

    return run


def rows_of(page: str) -> list[str]:
    return [line for line in Path(page).read_text().splitlines() if line.startswith("| ")]


def test_a_study_trains_compares_and_goes_on_where_it_was(study: Callable[..., None]) -> None:
    study()
    samples, flops = rows_of("masker-study/equal-samples.md"), rows_of("masker-study/equal-flops.md")
    assert samples[1].startswith("| none | 1 | 100.0% | 32 |")
    assert samples[2].startswith("| random-0.5 | 1 | 50.0% | 32 |")
    assert flops[1].startswith("| none | 1 | 100.0% | 16 |"), "two of its steps cost as much as four masked ones"
    assert flops[2] == samples[2], "the same run serves both tables"
    done, cut = (Path(f"masker-study/samples/{name}-seed0/metrics.jsonl") for name in ("none", "random-0.5"))
    before, content = done.stat().st_mtime_ns, cut.read_text()
    cut.write_text("".join(content.splitlines(keepends=True)[:-1]))  # stopped before its evaluation
    study()
    assert done.stat().st_mtime_ns == before
    assert cut.read_text() == content
    Path("masker-study/equal-samples.md").unlink()
    study("--table")
    assert rows_of("masker-study/equal-samples.md") == samples


def test_what_is_evaluated_on_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    unseen = runpy.run_path(str(FOLDER / "unseen.py"))["unseen_shards"]
    pictures = [jpeg(seed) for seed in range(3)]
    pack(tmp_path / "train.tar", {"a.x.jpg": pictures[0], "a.txt": b"seen", "b.jpg": pictures[1], "b.txt": b"new"})
    pack(tmp_path / "sets" / "wds_one" / "test" / "0.tar", {"s0.jpg": pictures[0], "s1.jpg": pictures[2]})
    assert unseen(str(tmp_path / "train.tar"), tmp_path / "sets", tmp_path / "data") == f"{tmp_path}/data/00000.tar"
    with tarfile.open(tmp_path / "data" / "00000.tar") as tar:
        assert tar.getnames() == ["b.jpg", "b.txt"]
        file = tar.extractfile("b.jpg")
        assert file is not None
        assert Image.open(file).size == (64, 48)
    assert unseen("generated", tmp_path / "sets", tmp_path / "data") == "generated"


def jpeg(seed: int) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "JPEG")
    return content.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
