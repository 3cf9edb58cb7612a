from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pgsclip.errors import ConfigError, DataError
from pgsclip.evaluation.demo import write_shards
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOut
from pgsclip.evaluation.suite import open_suite


def colour(image: object) -> Tensor:
    return torch.tensor([float(channel) for channel in image.resize((1, 1)).getpixel((0, 0))]).view(3, 1, 1)  # type: ignore[attr-defined]


@pytest.fixture
def seeing() -> Encoder:
    """Knows red from blue."""

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        return (None if images is None else images[:, :, 0, 0]), (None if texts is None else texts.float())

    def tokenizer(texts: object) -> Tensor:
        return torch.tensor([[1, 0, 0] if "red" in text else [0, 0, 1] for text in texts])  # type: ignore[attr-defined]

    return Encoder(features, tokenizer, torch.device("cpu"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    from PIL import Image

    red, blue = Image.new("RGB", (4, 4), (250, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 250))
    folder = tmp_path / "wds_colours"
    write_shards(folder, "test", [(red, "cls", "0"), (blue, "cls", "1"), (red, "cls", "1"), (blue, "cls", "1")], 2)
    (folder / "classnames.txt").write_text("red\nblue")
    (folder / "zeroshot_classification_templates.txt").write_text("a {c} thing")
    (tmp_path / "mine.txt").write_text("wds/colours\nwds/gone  # not there\n")
    return tmp_path


def test_a_suite_is_a_held_out_set(root: Path, seeing: Encoder) -> None:
    sets = open_suite(str(root / "mine.txt"), root, colour, 3)
    assert isinstance(sets, HeldOut)
    found = sets.evaluate(seeing)
    assert found["zeroshot/colours/acc1"] == 0.75
    assert sets.name == "mine"
    assert sets.sentence(found) == "suite mine, 1 sets: zeroshot colours 75.0%; 1 sets are missing"


def test_a_suite_of_which_nothing_is_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"None of the sets of the suite paper is in .*evaluate\.suite=null"):
        open_suite("paper", tmp_path, colour, 3)
    with pytest.raises(ConfigError, match=r"There is no suite 'papr'\. Did you mean 'paper'\?"):
        open_suite("papr", tmp_path, colour, 3)
