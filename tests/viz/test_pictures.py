from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Normalize
from torchvision.transforms.functional import to_tensor

from pgsclip.errors import ImageError
from pgsclip.grid import Grid
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD
from pgsclip.viz.pictures import normalise_image, open_picture


def _image(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize(
    ("width", "height", "grid"),
    [(60, 60, (8, 8)), (100, 50, (8, 16)), (50, 90, (14, 8)), (300, 31, (8, 77)), (9, 9, (8, 8))],
)
def test_the_shorter_side_is_scaled_and_the_rest_cut_to_whole_patches(
    tmp_path: Path, width: int, height: int, grid: tuple[int, int]
) -> None:
    _image(width, height).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png", 64, 8)
    assert picture.grid == Grid(*grid, 8)
    assert picture.image.size == (grid[1] * 8, grid[0] * 8)
    assert picture.pixels.shape == (1, 3, grid[0] * 8, grid[1] * 8)
    assert picture.pixels.shape == (1, 3, grid[0] * 8, grid[1] * 8)
    assert picture.name == "a.png"


def test_an_image_of_the_right_size_is_not_changed(tmp_path: Path) -> None:
    image = _image(48, 32)
    image.save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png", 32, 16)
    assert np.array_equal(np.asarray(picture.image), np.asarray(image))
    torch.testing.assert_close(picture.pixels, normalise_image(image))


def test_normalisation_is_that_of_clip() -> None:
    image = _image(20, 10)
    expected = Normalize(CLIP_MEAN, CLIP_STD)(to_tensor(image)).unsqueeze(0)
    torch.testing.assert_close(normalise_image(image), expected)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    _image(32, 32, mode).save(path)
    assert open_picture(path, 32, 16).image.mode == "RGB"


def test_sixteen_bits_keep_their_grey(tmp_path: Path) -> None:
    grey = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64
    Image.fromarray(grey).save(tmp_path / "a.png")
    shown = np.asarray(open_picture(tmp_path / "a.png", 32, 16).image)
    assert np.array_equal(shown[..., 0], grey // 257)


def test_a_photograph_that_a_camera_turned_stands_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    _image(64, 32).save(tmp_path / "a.jpg", exif=turned)
    assert open_picture(tmp_path / "a.jpg", 32, 16).image.size == (32, 64)


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    _image(40, 40).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    for name, words in [
        ("absent.jpg", r"There is no image .*absent\.jpg\."),
        ("", r"is a folder; name its images, for example .*/\*\.jpg"),
        ("text.jpg", r"text\.jpg is not an image that can be read: .*JPEG, PNG, WEBP"),
        ("empty.png", r"empty\.png is not an image that can be read"),
        ("cut.png", r"cut\.png is not an image that can be read"),
    ]:
        with pytest.raises(ImageError, match=words):
            open_picture(tmp_path / name, 32, 16)
    with pytest.raises(ImageError, match=r"side of 8 pixels holds no patch of 16; raise --image-size"):
        open_picture(tmp_path / "whole.png", 8, 16)


def test_the_middle_is_what_stays(tmp_path: Path) -> None:
    image = _image(44, 32)
    image.save(tmp_path / "a.png")
    shown = open_picture(tmp_path / "a.png", 32, 16).image
    assert np.array_equal(np.asarray(shown), np.asarray(image)[:, 6:38])
