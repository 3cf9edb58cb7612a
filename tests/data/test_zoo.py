"""One picture of every kind through every door; each shows what libvips shows, within two levels of 255 on average."""

from __future__ import annotations

import io
import random
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

import pgsclip
from pgsclip.config.schema import DataConfig
from pgsclip.data import crops
from pgsclip.data.batch import Fault
from pgsclip.data.crops import Box, TrainCrop
from pgsclip.data.decoding import decode_pair
from pgsclip.data.image_file import open_image
from pgsclip.data.loading import read_all
from pgsclip.data.near_duplicates import fingerprint
from pgsclip.data.shard_stats import collect_stats
from pgsclip.data.shard_writer import ShardOptions, write_shard
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import is_see_through, to_rgb, upright_size
from pgsclip.evaluation.datasets import open_set
from pgsclip.evaluation.layouts import locate
from pgsclip.export.parity import read_probe
from pgsclip.results.suites import Job
from pgsclip.viz.contact_sheet import draw_contact_sheet
from pgsclip.viz.pictures import open_picture
from tests.data.zoo import HEIGHT, WIDTH, Animal, photo, ring, save, shown_by_vips, zoo

ZOO = zoo()
LEVELS = 2.0


@pytest.fixture(params=ZOO, ids=[animal.name for animal in ZOO])
def animal(request: pytest.FixtureRequest) -> Animal:
    found: Animal = request.param
    return found


def distance(one: object, other: object) -> float:
    """Mean distance in levels of 255."""
    mine, theirs = np.asarray(one, np.float64), np.asarray(other, np.float64)
    assert mine.shape == theirs.shape
    return float(np.abs(mine - theirs).mean())


@pytest.fixture
def whole_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every crop takes all of an image, and not a pixel less."""
    monkeypatch.setattr(crops, "draw_box", lambda width, height, scale, chance: Box(0, 0, width, height))


def as_image(tensor: Tensor) -> NDArray[np.uint8]:
    return tensor.permute(1, 2, 0).numpy()


def to_tensor(image: Image.Image) -> Tensor:
    assert image.mode == "RGB"
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def test_the_zoo_is_large_and_its_animals_are_told_apart() -> None:
    assert len(ZOO) >= 70
    assert all(animal.shows.std() > 10 for animal in ZOO)
    turned = [animal for animal in ZOO if animal.shows.shape == (WIDTH, HEIGHT, 3)]
    assert len(turned) >= 8


def test_the_decoder_shows_what_libvips_shows(animal: Animal) -> None:
    with open_image(animal.content) as picture:
        assert upright_size(picture) == animal.shows.shape[1::-1] or animal.name.endswith((".png", ".tif"))
        shown = to_rgb(picture)
    assert shown.mode == "RGB"
    assert distance(shown, animal.shows) <= LEVELS


def test_door_python(animal: Animal, tmp_path: Path) -> None:
    path = tmp_path / animal.name
    path.write_bytes(animal.content)
    assert distance(pgsclip.read_image(str(path)), animal.shows) <= LEVELS


@pytest.mark.usefixtures("whole_crops")
def test_door_training(animal: Animal) -> None:
    raw = Raw("a.tar", "key", "text", partial(open_image, animal.content))
    height, width = animal.shows.shape[:2]
    with raw.picture() as picture:
        crop = TrainCrop((height, width), (1.0, 1.0))(picture, random.Random(0))
    assert distance(as_image(crop), animal.shows) <= LEVELS


@pytest.mark.usefixtures("whole_crops")
def test_door_training_of_a_small_model(animal: Animal) -> None:
    """A JPEG is decoded at a quarter of its size there."""
    with open_image(animal.content) as picture:
        crop = TrainCrop((animal.shows.shape[0] // 4, animal.shows.shape[1] // 4), (1.0, 1.0))(
            picture, random.Random(0)
        )
    small = Image.fromarray(animal.shows).resize(crop.shape[:0:-1], Image.Resampling.BICUBIC)
    assert distance(as_image(crop), small) <= LEVELS


def test_door_check(animal: Animal) -> None:
    raw = Raw("a.tar", "key", "text", partial(open_image, animal.content))
    stats = collect_stats("a.tar", [raw], len)
    assert (stats.usable, stats.faults) == (1, [])
    assert dict(stats.sizes) == {animal.shows.shape[1::-1]: 1}
    cells = 8  # bytes of the hash, before the mean colours
    known = fingerprint(Image.fromarray(np.ascontiguousarray(animal.shows)))
    assert distance(stats.fingerprints[0][cells:], known[cells:]) <= LEVELS


class Listed:
    def __init__(self, content: bytes) -> None:
        self.size, self._content = 1, content

    def pair(self, index: int) -> Raw | Fault:
        return Raw("list", "key", "text", partial(open_image, self._content))


@pytest.mark.parametrize("pad", [False, True])
def test_door_make(animal: Animal, tmp_path: Path, pad: bool) -> None:
    made = write_shard(Listed(animal.content), tmp_path / "a.tar", [0], ShardOptions(pad=pad, quality=95))
    assert made["pairs"] == 1
    with tarfile.open(tmp_path / "a.tar") as tar:
        (name,) = (name for name in tar.getnames() if not name.endswith(".txt"))
        content = tar.extractfile(name).read()  # type: ignore[union-attr]
    if content == animal.content:  # as it was: every reader decodes it by itself
        assert not pad
        return
    whole = Image.fromarray(np.ascontiguousarray(animal.shows))
    whole = ImageOps.pad(whole, (WIDTH, WIDTH), color="white") if pad else whole
    assert distance(shown_by_vips(content), shown_by_vips(save(whole, "JPEG", quality=95))) <= LEVELS


def test_door_preview(animal: Animal, tmp_path: Path) -> None:
    (tmp_path / animal.name).write_bytes(animal.content)
    (tmp_path / animal.name).with_suffix(".txt").write_text("words")
    ((panel,),) = draw_contact_sheet(str(tmp_path), [], count=1, across=1, seed=0)
    fitted = ImageOps.fit(Image.fromarray(animal.shows), panel.image.size, Image.Resampling.BICUBIC)
    assert distance(panel.image, fitted) <= LEVELS


def test_door_viz_mask(animal: Animal, tmp_path: Path) -> None:
    (tmp_path / animal.name).write_bytes(animal.content)
    assert distance(open_picture(tmp_path / animal.name, HEIGHT, 16).image, animal.shows) <= LEVELS


def test_door_held_out_pairs(animal: Animal, tmp_path: Path) -> None:
    (tmp_path / animal.name).write_bytes(animal.content)
    (tmp_path / animal.name).with_suffix(".txt").write_text("words")
    (batch,) = read_all(str(tmp_path), DataConfig(), to_tensor, lambda texts: torch.ones(len(texts), 1).long(), 4)
    assert distance(as_image(batch.images[0]), animal.shows) <= LEVELS


@pytest.mark.parametrize("layout", ["wds", "flickr", "coco", "sugar_crepe"])
def test_door_evaluation(animal: Animal, tmp_path: Path, layout: str) -> None:
    job = place_set(tmp_path, layout, animal.content)
    opened = open_set(locate(job, tmp_path), "test", to_tensor, batch_size=2, workers=0)
    (batch,) = opened.batches
    assert distance(as_image(batch.images[0]), animal.shows) <= LEVELS
    assert [str(caption).strip() for caption in batch.targets[0]] == ["one", "two"]


def place_set(root: Path, layout: str, content: bytes) -> Job:
    """A set of one picture with the captions `one` and `two`, in one of clip-benchmark's layouts."""
    import json

    if layout == "wds":
        (root / "wds_mine" / "test").mkdir(parents=True)
        (root / "wds_mine" / "dataset_type.txt").write_text("retrieval")
        (root / "wds_mine" / "test" / "nshards.txt").write_text("1")
        with tarfile.open(root / "wds_mine" / "test" / "0.tar", "w") as tar:
            for name, data in (("s0.jpg", content), ("s0.txt", b"one\ntwo")):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return Job("retrieval", "mine")
    if layout == "flickr":
        (root / "flickr8k").mkdir()
        (root / "flickr8k" / "a.jpg").write_bytes(content)
        (root / "flickr8k" / "flickr8k_test_karpathy.txt").write_text("image,caption\na.jpg,one\na.jpg,two\n")
        return Job("retrieval", "flickr8k")
    if layout == "coco":
        (root / "mscoco_captions" / "val2014").mkdir(parents=True)
        (root / "mscoco_captions" / "val2014" / "a.jpg").write_bytes(content)
        notes = [{"id": n, "image_id": 7, "caption": words} for n, words in enumerate(("one", "two"))]
        written = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": notes}
        (root / "mscoco_captions" / "coco_test_karpathy.json").write_text(json.dumps(written))
        return Job("retrieval", "mscoco_captions")
    (root / "sugar_crepe" / "val2017").mkdir(parents=True)
    (root / "sugar_crepe" / "val2017" / "a.jpg").write_bytes(content)
    entry_ = {"0": {"filename": "a.jpg", "caption": "one", "negative_caption": "two"}}
    (root / "sugar_crepe" / "swap_att.json").write_text(json.dumps(entry_))
    return Job("compositionality", "sugar_crepe/swap_att")


def test_door_parity(animal: Animal) -> None:
    assert distance(read_probe(animal.content), animal.shows) <= LEVELS


@pytest.mark.usefixtures("whole_crops")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_another_ground_shows_through(kind: str) -> None:
    content = save(
        ring(), kind, **({"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "AVIF" else {})
    )
    raw = Raw("a.tar", "key", "text", partial(open_image, content))
    for colour, expected in (("black", (0, 0, 0)), ("#20c040", (32, 192, 64)), ("white", (255, 255, 255))):
        shown = decode_pair(raw, colour)
        assert isinstance(shown, Image.Image)
        assert np.abs(np.asarray(shown)[0, 0].astype(int) - expected).max() <= 2
        with raw.picture() as picture:
            assert is_see_through(picture)
            crop = TrainCrop((HEIGHT, WIDTH), (1.0, 1.0), background=colour)(picture, random.Random(0))
        assert distance(as_image(crop), shown) <= 1


def test_numbers_of_unknown_scale_are_refused() -> None:
    content = save(Image.fromarray(np.asarray(photo().convert("L"), np.float32) / 255), "TIFF")
    fault = decode_pair(Raw("a.tar", "key", "text", partial(open_image, content)))
    assert isinstance(fault, Fault)
    assert (fault.cause, "0 to 1" in fault.detail) == ("unsupported image", True)
