"""A run that is killed goes on as if nothing had happened; `survival.py` beside this file does the same at length."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from pgsclip.data.generated import scene

WORDS = ["--recipe", "smoke", "--masker", "pgs", "--ratio", "0.3:0.5", "--steps", "60", "--batch-size", "8"]
SETTINGS = ["checkpoint.every_steps=2", "log.every_steps=1", "data.workers=2", "data.shuffle=16", "evaluate.data=null"]


@pytest.fixture(scope="module")
def survival() -> ModuleType:
    spec = importlib.util.spec_from_file_location("survival", Path(__file__).parent / "survival.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("term", [False, True], ids=["SIGKILL", "SIGTERM"])
def test_a_killed_run_ends_with_the_same_curve_and_weights(tmp_path: Path, survival: ModuleType, term: bool) -> None:
    for number in range(3):
        _shard(tmp_path / f"{number}.tar", range(40 * number, 40 * (number + 1)))
    words = [*WORDS, "--data", str(tmp_path / "{0..2}.tar")]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    said = survival.survive(tmp_path / "out", words, kills=3, longest=14.0, seed=int(term), term=term)
    assert "weights and moments equal" in said


def _shard(path: Path, numbers: range) -> None:
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            one = scene("training", number)
            picture = io.BytesIO()
            Image.fromarray(one.image).save(picture, "JPEG")
            for extension, content in (("jpg", picture.getvalue()), ("txt", one.caption.encode())):
                member = tarfile.TarInfo(f"{number:05d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
