from __future__ import annotations

import io
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pgsclip.data import image_file
from pgsclip.data.batch import Fault
from pgsclip.data.collate import Collator
from pgsclip.data.image_file import open_image
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import to_rgb


def picture(mode: str, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    ramp = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    colour = Image.fromarray(np.stack([ramp, ramp.T, 255 - ramp], axis=-1)).resize((32, 32), Image.Resampling.NEAREST)
    if mode == "I;16":
        image = Image.fromarray(np.array(colour.convert("L")).astype(np.uint16) * 257)
    elif mode == "RGBA":
        image = colour.copy()
        image.putalpha(colour.convert("L"))
    else:
        image = colour.convert(mode)
    image.save(content, kind, **options)
    return content.getvalue()


def decoded(content: bytes) -> Tensor | Fault:
    """One picture as it reaches the model."""
    collator = Collator(
        lambda picture, _: torch.from_numpy(np.array(to_rgb(picture))),
        lambda captions: torch.ones(len(captions), 3, dtype=torch.int64),
        seed=0,
    )
    usable = collator.take(Raw("a.tar", "key", "text", partial(open_image, content)), epoch=0)
    assert (collator.read, len(collator.images), len(collator.faults)) == (1, int(usable), int(not usable))
    return collator.images[0] if usable else replace(collator.faults[0], detail="")


@pytest.mark.parametrize(
    ("mode", "kind", "tolerance"),
    [
        *[("RGB", "png", 0), ("RGBA", "png", 1), ("P", "png", 60), ("CMYK", "jpeg", 40), ("RGB", "webp", 40)],
        *[("L", "png", 0), ("LA", "png", 0), ("I;16", "png", 1), ("RGB", "jpeg", 40)],
    ],
)
def test_pictures_of_every_mode_become_colour(mode: str, kind: str, tolerance: int) -> None:
    found = decoded(picture(mode, kind))
    assert isinstance(found, Tensor)
    assert found.shape == (32, 32, 3)
    grey = mode in ("L", "1", "LA", "I;16")
    expected = Image.open(io.BytesIO(picture("RGB", "png")))
    wanted = np.array(expected.convert("L").convert("RGB") if grey else expected).astype(int)
    if mode == "RGBA":
        alpha = np.array(expected.convert("L"))[..., None] / 255
        wanted = (wanted * alpha + 255 * (1 - alpha)).round().astype(int)
    assert np.abs(found.numpy().astype(int) - wanted).max() <= tolerance


def test_palette_with_transparent_colours_gives_no_warning() -> None:
    assert isinstance(decoded(picture("P", "png", transparency=b"\x00\x10\x20")), Tensor)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_pictures_stand_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    turned, plain = decoded(picture("RGB", kind, exif=exif)), decoded(picture("RGB", kind))
    assert isinstance(turned, Tensor)
    assert isinstance(plain, Tensor)
    assert torch.equal(turned, plain.rot90(-1))


def test_a_damaged_orientation_does_not_cost_the_picture() -> None:
    assert isinstance(decoded(picture("RGB", "jpeg", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff")), Tensor)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_truncated_pictures_are_faults_and_never_half_grey(kind: str, share: float) -> None:
    content = picture("RGB", kind)
    assert decoded(content[: int(len(content) * share)]) == Fault("corrupt image", "a.tar", "key")


def test_truncated_png_is_a_fault() -> None:
    content = picture("RGB", "png")
    assert decoded(content[: len(content) // 2]) == Fault("corrupt image", "a.tar", "key")


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_what_is_no_picture_is_a_fault(content: bytes) -> None:
    assert decoded(content) == Fault("corrupt image", "a.tar", "key")


@pytest.mark.parametrize("pixels", [500, 700])
def test_decompression_bombs_are_refused(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(image_file, "MAX_PIXELS", pixels)
    assert decoded(picture("RGB", "png")) == Fault("image too large", "a.tar", "key")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["jpeg", "png", "webp"]))
def test_no_damage_of_a_picture_raises(seed: int, kind: str) -> None:
    chance, content = random.Random(seed), bytearray(picture("RGB", kind))
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    found = decoded(bytes(content))
    assert isinstance(found, Tensor) or found.cause in ("corrupt image", "image too large", "unsupported image")


def test_views_are_crops_of_their_own_and_the_first_is_that_of_a_single_one() -> None:
    content = picture("RGB", "png")

    def crops(views: int, epoch: int = 0) -> Tensor:
        collator = Collator(
            lambda image, chance: torch.from_numpy(np.array(image))[chance.randrange(30) :][:2].float(),
            lambda captions: torch.ones(len(captions), 3, dtype=torch.int64),
            seed=0,
            views=views,
        )
        assert collator.take(Raw("a.tar", "key", "text", partial(open_image, content)), epoch)
        return collator.images[0]

    three = crops(3)
    assert three.shape == (3, 2, 32, 3)
    assert torch.equal(three[0], crops(1))
    assert torch.equal(three, crops(3))
    assert not torch.equal(three[0], three[1])
    assert not torch.equal(three, crops(3, epoch=1))
