from __future__ import annotations

import io
import tarfile
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import COLOURS, HELD_OUT, SHAPES, scene
from pgsclip.errors import DataError
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOutPairs, SceneClasses, held_out_sets

KnownEncoder = Callable[[Tensor, Tensor], Encoder]


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1)


def first_number(captions: list[str]) -> Tensor:
    return torch.tensor([[int(caption)] for caption in captions])


def write_shard(path: Path, count: int, broken: tuple[int, ...] = ()) -> str:
    """Pictures of the numbers below `count`, each with its number as caption."""
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            content = io.BytesIO()
            Image.new("RGB", (4, 4), (number,) * 3).save(content, "png")
            picture = b"broken" if number in broken else content.getvalue()
            for name, data in ((f"{number}.png", picture), (f"{number}.txt", str(number).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.fixture
def identity(known_encoder: KnownEncoder) -> Encoder:
    """Every picture is nearest to its own caption."""
    return known_encoder(torch.eye(40), torch.eye(40))


def pairs(spec: str, batch_size: int = 4) -> HeldOutPairs:
    return HeldOutPairs(spec, DataConfig(), to_tensor, first_number, batch_size)


def test_pairs_of_a_shard_both_ways(tmp_path: Path, identity: Encoder) -> None:
    held_out = pairs(write_shard(tmp_path / "val-7.tar", 11))
    found = held_out.evaluate(identity)
    assert found == {f"{side}_retrieval_recall@{k}": 1.0 for k in (1, 5, 10) for side in ("image", "text")}
    assert held_out.name == "val-7"
    assert held_out.sentence(found | {"image_retrieval_recall@5": 0.25}) == (
        "recall@5 among 11 held-out pairs of val-7: image to text 100.0%, text to image 25.0% (chance 45.5%)"
    )


def test_pairs_are_counted_anew_each_time_and_broken_ones_left_out(tmp_path: Path, identity: Encoder) -> None:
    held_out = pairs(write_shard(tmp_path / "val.tar", 6, broken=(0, 3)))
    for _ in range(2):
        found = held_out.evaluate(identity)
        assert held_out.pairs == 4
    assert held_out.sentence(found) == (
        "recall@1 among 4 held-out pairs of val: image to text 100.0%, text to image 100.0% (chance 25.0%)"
    )


def test_several_shards_are_one_set_named_by_the_first(tmp_path: Path, identity: Encoder) -> None:
    one, two = (write_shard(tmp_path / f"val-{n}.tar", 3) for n in range(2))
    held_out = pairs(f"{one}::{two}")
    held_out.evaluate(identity)
    assert (held_out.pairs, held_out.name) == (6, "val-0")


def test_no_usable_pair_is_a_sentence(tmp_path: Path, identity: Encoder) -> None:
    held_out = pairs(write_shard(tmp_path / "val.tar", 2, broken=(0, 1)))
    with pytest.raises(
        DataError, match=r"None of the held-out pairs in .*val\.tar can be used\. .*evaluate\.data=null"
    ):
        held_out.evaluate(identity)


def test_images_are_not_held_all_at_once_and_nothing_is_printed(
    tmp_path: Path, known_encoder: KnownEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    known, alive, most = known_encoder(torch.eye(12), torch.eye(12)), list[weakref.ref[Tensor]](), 0

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        nonlocal most
        assert not torch.is_grad_enabled()
        if images is not None:
            alive.append(weakref.ref(images))
            most = max(most, sum(one() is not None for one in alive))
        return known.encode(images, texts)

    url = write_shard(tmp_path / "val.tar", 12)
    found = pairs(url, batch_size=1).evaluate(Encoder(features, known.tokenizer, known.device))
    assert found["text_retrieval_recall@1"] == 1.0
    assert (len(alive), most) == (12, 1)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def seeing() -> Encoder:
    """Knows colour and shape of a held-out scene from its pixels, but takes rings for circles."""
    shown = {scene(HELD_OUT, index).image.tobytes(): scene(HELD_OUT, index) for index in range(1000)}

    def one_hot(colour: str, shape: str) -> Tensor:
        found = torch.zeros(len(COLOURS) * len(SHAPES))
        found[list(COLOURS).index(colour) * len(SHAPES) + SHAPES.index(shape)] = 1
        return found

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if images is None:
            return None, None if texts is None else texts.float()
        keys = [image.permute(1, 2, 0).to(torch.uint8).numpy().tobytes() for image in images]
        scenes = [shown[key] for key in keys]
        return torch.stack([one_hot(s.colour, "circle" if s.shape == "ring" else s.shape) for s in scenes]), None

    def tokenizer(prompts: list[str]) -> Tensor:
        return torch.stack([one_hot(*prompt.split()[-2:]) for prompt in prompts])  # type: ignore[arg-type]

    return Encoder(features, tokenizer, torch.device("cpu"))


@pytest.mark.parametrize("batch_size", [64, 2000])
def test_scenes_are_classified_by_colour_and_shape(seeing: Encoder, batch_size: int) -> None:
    held_out = SceneClasses(to_tensor, batch_size)
    rings = sum(scene(HELD_OUT, index).shape == "ring" for index in range(1000))
    assert held_out.evaluate(seeing) == pytest.approx({"acc1": 1 - rings / 1000})
    assert held_out.name == "generated"


def test_sentence_of_scenes_names_chance() -> None:
    assert SceneClasses(to_tensor, 10).sentence({"acc1": 0.4567}) == (
        "zero-shot accuracy 45.7% on 1000 generated scenes that the model never saw, 48 classes (chance 2.1%)"
    )


def test_a_spec_becomes_its_kind_of_set(tmp_path: Path) -> None:
    def sets(spec: str | None) -> list[object]:
        return list(held_out_sets(spec, DataConfig(), to_tensor, first_number, 5))

    assert sets(None) == []
    for spec in ("generated", "generated:held-out"):
        assert sets(spec) == [SceneClasses(to_tensor, 5)]
    url = write_shard(tmp_path / "val.tar", 1)
    assert sets(url) == [HeldOutPairs(url, DataConfig(), to_tensor, first_number, 5)]


def test_what_is_not_there_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file matches .*val\.tar"):
        held_out_sets(f"{tmp_path}/val.tar", DataConfig(), to_tensor, first_number, 5)
