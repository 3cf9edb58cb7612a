from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pgsclip.data import image_file
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import try_decode
from pgsclip.data.image_file import open_image
from pgsclip.data.source import Raw


def size(open_picture: Callable[[], Image.Image]) -> tuple[int, int]:
    with open_picture() as picture:
        return picture.convert("RGB").size


def test_a_picture_is_used_and_everything_else_is_a_fault_of_its_kind(
    photo: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(content: bytes) -> Raw:
        return Raw("a.tar", "7", "caption", partial(open_image, content))

    assert try_decode(of(photo()), size) == (8, 8)
    cut = try_decode(of(photo(0, "jpeg", 64)[:-40]), size)
    assert isinstance(cut, Fault)
    assert (cut.cause, cut.shard, cut.key) == ("corrupt image", "a.tar", "7")
    missing = try_decode(Raw("list.csv", "x.jpg", "caption", partial(open_image, Path("x.jpg"))), size)
    assert isinstance(missing, Fault)
    assert missing.cause == "missing image"
    monkeypatch.setattr(image_file, "MAX_PIXELS", 40)
    large = try_decode(of(photo()), size)
    assert isinstance(large, Fault)
    assert large.cause == "image too large"
