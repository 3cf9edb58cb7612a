"""One pass over a folder with everything that goes wrong with shards: every cause is counted, each where it is."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image
from rich.console import Console

from pgsclip.data.generated import scene
from pgsclip.errors import DataError
from pgsclip.training.request import configure
from pgsclip.training.run import train

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
SETTINGS = [
    "model.name=pgsclip-broken", "data.batch_size=10", "data.shuffle=4", "masker.name=random", "masker.ratio=0.5",
    "evaluate.data=null", "optim.warmup_steps=0", "log.every_steps=1", "engine.device=cpu", "data.samples=200",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("models")
    (folder / "pgsclip-broken.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)


def write(path: Path, pairs: list[tuple[bytes | None, str | None]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for number, (image, caption) in enumerate(pairs):
            for extension, content in (("jpg", image), ("txt", None if caption is None else caption.encode())):
                if content is not None:
                    member = tarfile.TarInfo(f"{path.stem}-{number:04d}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return path


def jpeg(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(scene("training", number, 32).image).save(content, "JPEG")
    return content.getvalue()


def good(count: int) -> list[tuple[bytes | None, str | None]]:
    return [(jpeg(number), f"thing {number}") for number in range(count)]


def folder_of_faults(folder: Path) -> tuple[str, dict[str, int], int]:
    """A spec, what must be counted, and how many pairs can be used."""
    folder.mkdir()
    write(folder / "good.tar", good(60))
    five_percent = good(40)
    five_percent[7] = five_percent[21] = (jpeg(7)[:200], "cut short")
    write(folder / "corrupt.tar", five_percent)
    write(folder / "captions.tar", [*good(10), (jpeg(1), " \n"), (None, "no image"), (jpeg(1), None)])
    bomb = io.BytesIO()
    Image.fromarray(np.zeros((10_000, 10_000), np.uint8)).save(bomb, "PNG")
    write(folder / "huge.tar", [*good(10), (bomb.getvalue(), "ten thousand pixels wide")])
    whole = write(folder / "truncated.tar", good(10)).read_bytes()
    (folder / "truncated.tar").write_bytes(whole[: len(whole) // 2 + 100])
    (folder / "text.tar").write_text("this is no tar\n" * 100)
    write(folder / "vanishing.tar", good(10))
    spec = f"{folder}/{{good,corrupt,captions,huge,truncated,text,vanishing}}.tar::pipe:cat {folder}/good.tar; exit 3"
    causes = {
        "corrupt image": 2,
        "empty caption": 1,
        "caption without image": 1,
        "image without caption": 1,
        "image too large": 1,
        "truncated tar": 1,
        "not a tar": 1,
        "missing shard": 1,
        "unreadable shard": 1,
    }
    return spec, causes, 60 + 38 + 10 + 10 + 60


@pytest.mark.parametrize("workers", [0, 1])
def test_every_cause_is_counted_once_and_the_run_goes_on(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgsclip.training.run.open_source", _open_and_lose(tmp_path / "data" / "vanishing.tar"))
    spec, causes, usable = folder_of_faults(tmp_path / "data")
    steps = usable // 10 + 1  # a little into the second pass, so that the first is over
    settings = [
        *SETTINGS,
        f"data.spec={spec}",
        f"data.workers={workers}",
        f"optim.steps={steps}",
        "data.max_bad_share=1",
    ]
    train(configure("smoke", {"out": str(tmp_path / "run")}, settings), Console(file=io.StringIO()))
    found = json.loads((tmp_path / "run" / "faults.json").read_text())
    assert found["by_cause"] == causes
    where = {"corrupt.tar": 2, "captions.tar": 3, "huge.tar": 1, "truncated.tar": 1, "text.tar": 1, "vanishing.tar": 1}
    pipe = spec.partition("::")[2]
    assert found["by_shard"] == {**{str(tmp_path / "data" / name): count for name, count in where.items()}, pipe: 1}


def test_above_the_threshold_it_stops_with_the_worst_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, _, _ = folder_of_faults(tmp_path / "data")
    write(tmp_path / "data" / "good.tar", [(b"junk", f"thing {number}") for number in range(60)])
    settings = [*SETTINGS, f"data.spec={spec}", "data.workers=1", "optim.steps=100", "data.max_bad_share=0.1"]
    with pytest.raises(DataError, match=r"corrupt image.*most of them, \d+, are in .*good\.tar"):
        train(configure("smoke", {"out": str(tmp_path / "run")}, settings), Console(file=io.StringIO()))


def _open_and_lose(shard: Path) -> object:
    """As if somebody had removed a shard after the run looked which there are."""
    from pgsclip.data.spec import open_source

    def opened(*given: object) -> object:
        source = open_source(*given)  # type: ignore[arg-type]
        os.unlink(shard)  # noqa: PTH108
        return source

    return opened
