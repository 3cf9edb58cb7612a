from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pgsclip.data.to_rgb import to_rgb, upright_size


def opened(size: tuple[int, int], kind: str, exif: bytes | Image.Exif) -> Image.Image:
    content = io.BytesIO()
    Image.new("RGB", size).save(content, kind, exif=exif)
    return Image.open(io.BytesIO(content.getvalue()))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_the_size_is_known_before_a_jpeg_is_decoded(width: int, height: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = opened((width, height), "jpeg", exif)
    assert upright_size(picture) == to_rgb(picture).size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # the loader looks away too
@pytest.mark.parametrize("exif", [b"", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff", b"Exif\x00\x00"])
def test_a_damaged_tag_turns_nothing(exif: bytes) -> None:
    picture = opened((20, 30), "jpeg", exif)
    assert upright_size(picture) == (20, 30)
    assert to_rgb(picture).size == (20, 30)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_keep_their_grey(kind: str) -> None:
    grey = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    content = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(content, kind)
    picture = Image.open(content)
    assert picture.mode.startswith("I")
    assert np.array_equal(np.asarray(to_rgb(picture))[..., 1], grey)
