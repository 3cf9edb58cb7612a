from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pgsclip.data.benchmark_scenes import KINDS, benchmark_scene
from pgsclip.errors import ImageError
from pgsclip.mask_quality.examples import draw_examples, read_examples
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD


def _picture(width: int = 40, height: int = 20) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _shape(width: int = 40, height: int = 20) -> Image.Image:
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 4] = 255
    return Image.fromarray(mask)


def _expected(side: int = 16) -> torch.Tensor:
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[: side // 2, : side // 4] = True
    return mask


def test_generated_examples_are_the_hard_scenes() -> None:
    found = draw_examples(5, 48)
    assert [example.group for example in found] == [*KINDS, KINDS[0]]
    scene = benchmark_scene(KINDS[1], 0, 48)
    mean, std = (torch.tensor(value).reshape(3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    pixels = torch.from_numpy(scene.image).permute(2, 0, 1) / 255
    torch.testing.assert_close(found[1].pixels * std + mean, pixels, rtol=0, atol=1e-5)
    assert torch.equal(found[1].mask, torch.from_numpy(scene.mask))


@pytest.mark.parametrize(
    "place", ["cat_mask.png", "cat-mask.png", "cat.mask.webp", "masks/cat.png", "../masks/cat.png"]
)
def test_a_mask_is_a_file_beside_or_in_a_folder(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "images"
    (folder / "masks").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    _picture().save(folder / "cat.jpg")
    _shape().save(folder / place, lossless=True)
    [example] = read_examples(tmp_path, 10, 16)
    assert (example.name, example.group) == ("cat.jpg", "images")
    assert torch.equal(example.mask, _expected())
    assert example.pixels.shape == (3, 16, 16)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "cut-out mask", "opaque mask with alpha"])
def test_an_alpha_channel_is_a_mask(tmp_path: Path, mode: str) -> None:
    if mode in ("RGBA", "LA"):
        image = _picture().convert("L" if mode == "LA" else "RGB")
        image.putalpha(_shape())
        image.save(tmp_path / "cat.png")
    else:
        _picture().save(tmp_path / "cat.png")
        mask = Image.new("RGB", (40, 20)) if mode == "cut-out mask" else _shape().convert("RGB")
        mask.putalpha(_shape() if mode == "cut-out mask" else 255)
        mask.save(tmp_path / "cat_mask.png")
    [example] = read_examples(tmp_path, 10, 16)
    assert torch.equal(example.mask, _expected())


def test_colours_under_transparency_stand_as_they_are_in_the_file(tmp_path: Path) -> None:
    opaque = _picture(16, 16)
    cut = opaque.copy()
    cut.putalpha(_shape(16, 16))
    cut.save(tmp_path / "cat.png")
    [example] = read_examples(tmp_path, 10, 16)
    mean, std = (torch.tensor(value).reshape(3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    back = ((example.pixels * std + mean) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(back, np.asarray(opaque))


def test_a_count_takes_the_first_and_images_without_a_mask_are_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _picture().save(tmp_path / f"{name}.png")
    for name in ("b", "c"):
        _shape().save(tmp_path / f"{name}_mask.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert [example.name for example in read_examples(tmp_path, 10, 16)] == ["b.png", "c.png"]
    assert [example.name for example in read_examples(tmp_path, 1, 16)] == ["b.png"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "None of the 0 images in .* has a known object. An object is given by an alpha channel"),
        ({"a.png": _picture()}, "None of the 1 images in .*masks/cat.png.*; white is object"),
        ({"a.png": _picture(), "a_mask.png": _shape(20, 20)}, "has 20 x 20 pixels and its image .*a.png 40 x 20"),
        ({"a.png": _picture(), "a_mask.png": Image.new("L", (40, 20))}, "The mask of .*a.png shows no object"),
        ({"a.png": _picture(), "a_mask.png": Image.new("L", (40, 20), 255)}, "shows an object everywhere"),
        ({"a.png": _picture(), "a_mask.png": None}, "a_mask.png is not an image that can be read"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, files: dict[str, Image.Image | None], sentence: str) -> None:
    for name, image in files.items():
        if image is None:
            (tmp_path / name).write_bytes(b"nothing")
        else:
            image.save(tmp_path / name)
    with pytest.raises(ImageError, match=sentence):
        read_examples(tmp_path, 10, 16)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"There is no folder .*photos\. Give --images a folder, or `generated`"):
        read_examples(tmp_path / "photos", 10, 16)
