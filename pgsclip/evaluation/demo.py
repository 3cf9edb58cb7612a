"""Small generated sets for all five families, in clip-benchmark's layouts: what `--demo` evaluates on."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pgsclip.data.generated import COLOURS, HELD_OUT, TEMPLATES, TRAINING, Scene, classes, scene
from pgsclip.results.suites import DEMO

MODEL = "pgsclip-smoke"
_TEST, _TRAIN = 96, 192


def write_demo_sets(root: Path) -> None:
    """Write the sets of the suite `demo`; those that are whole already are left as they are.

    None is named, or lies, as a published benchmark does: what a model reaches here must not stand in its table.
    """
    marker = root / "complete"
    sets = "\n".join(sorted({name for names in DEMO.values() for name in names}))
    if marker.exists() and marker.read_text(encoding="utf-8") == sets:
        return
    test = [scene(HELD_OUT, index) for index in range(_TEST)]
    train = [scene(TRAINING, index) for index in range(_TRAIN)]
    _write_classes(root / "wds_demo-shapes", {"train": train, "test": test}, lambda image: image)
    _write_classes(root / "wds_demo-noisy", {"test": test}, _noisy)
    _write_classes(root / "wds_demo-grey", {"test": test}, lambda image: ImageOps.grayscale(image).convert("RGB"))
    _write_captions(root / "wds_demo-captions", [(one, one.caption) for one in test])
    _write_captions(root / "wds_demo-colours", [(one, _right_and_wrong(n, one)) for n, one in enumerate(test)])
    marker.write_text(sets, encoding="utf-8")


def write_class_set(folder: Path, count: int) -> None:
    """Write `count` scenes of the held-out stream as a set for zero-shot classification."""
    _write_classes(folder, {"test": [scene(HELD_OUT, index) for index in range(count)]}, lambda image: image)


def write_shards(folder: Path, split: str, items: Iterable[tuple[Image.Image, str, str]], shards: int) -> None:
    """Write (image, extension, text) as `split/0.tar` … and `split/nshards.txt`."""
    found = list(items)
    (folder / split).mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / split / f"{shard}.tar", "w") as tar:
            for number, (image, extension, text) in enumerate(found[shard::shards]):
                content = io.BytesIO()
                image.save(content, "PNG")
                for name, data in (("png", content.getvalue()), (extension, text.encode())):
                    member = tarfile.TarInfo(f"s{number:06d}.{name}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    (folder / split / "nshards.txt").write_text(str(shards), encoding="utf-8")


def image_of(one: Scene) -> Image.Image:
    """The picture of a scene."""
    return Image.fromarray(one.image)


def _write_classes(folder: Path, splits: dict[str, list[Scene]], change: Callable[[Image.Image], Image.Image]) -> None:
    for split, scenes in splits.items():
        write_shards(folder, split, ((change(image_of(one)), "cls", str(one.label)) for one in scenes), 2)
    (folder / "classnames.txt").write_text("\n".join(classes()), encoding="utf-8")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES), encoding="utf-8")


def _write_captions(folder: Path, captioned: list[tuple[Scene, str]]) -> None:
    write_shards(folder, "test", ((image_of(one), "txt", caption) for one, caption in captioned), 1)
    (folder / "dataset_type.txt").write_text("retrieval", encoding="utf-8")


def _right_and_wrong(number: int, one: Scene) -> str:
    """Two captions, a line each; the wrong one names another colour."""
    names = list(COLOURS)
    other = names[(names.index(one.colour) + 1 + number % (len(names) - 1)) % len(names)]
    return f"a {one.colour} {one.shape}\na {other} {one.shape}"


def _noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(0).normal(0, 40, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
