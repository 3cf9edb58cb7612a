from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pgsclip.data.upright import upright_rgb

GREY = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)


def stored(image: Image.Image, kind: str = "png", **options: object) -> Image.Image:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return Image.open(content)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_keep_their_grey(kind: str) -> None:
    deep = stored(Image.fromarray(GREY.astype(np.uint16) * 257), kind)
    assert deep.mode.startswith("I")
    found = upright_rgb(deep)
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found)[..., 1], GREY)


def test_a_photograph_that_a_camera_turned_stands_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph = stored(Image.fromarray(GREY).convert("RGB"), exif=turned)
    assert np.array_equal(np.asarray(upright_rgb(photograph))[..., 0], np.rot90(GREY, -1))
