"""Pictures, tars and a tiny way to look at what comes out of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

Members = Iterable[tuple[str, bytes | str]]
WriteTar = Callable[..., str]
Photo = Callable[..., bytes]


@pytest.fixture
def write_shards(write_tar: WriteTar, photo: Photo) -> Callable[[list[int]], list[str]]:
    """Shards of these sizes; the pairs are numbered through and the caption is the number."""

    def write(sizes: list[int]) -> list[str]:
        urls, number = [], 0
        for shard, size in enumerate(sizes):
            members: list[tuple[str, bytes | str]] = []
            for _ in range(size):
                caption = json.dumps({"caption": f"{number}"}) if number % 3 == 0 else f"{number}"
                members += [
                    (f"{number:05d}.png", photo(number)),
                    (f"{number:05d}.{'json' if number % 3 == 0 else 'txt'}", caption),
                ]
                number += 1
            urls.append(write_tar(f"{shard:05d}.tar", members))
        return urls

    return write


@pytest.fixture(scope="session")
def to_tensor() -> Callable[[Image.Image], Tensor]:
    def convert(image: Image.Image) -> Tensor:
        return torch.from_numpy(np.array(image.resize((4, 4)), np.float32)).permute(2, 0, 1)

    return convert


@pytest.fixture(scope="session")
def tokenize() -> Callable[[list[str]], Tensor]:
    """Characters as tokens, between a start and an end that has the largest id, zero-padded to 12."""

    def convert(captions: list[str]) -> Tensor:
        texts = torch.zeros(len(captions), 12, dtype=torch.int64)
        for row, caption in zip(texts, captions, strict=True):
            ids = [900, *(ord(character) % 800 + 1 for character in caption[:10]), 999]
            row[: len(ids)] = torch.tensor(ids)
        return texts

    return convert


@pytest.fixture(scope="session")
def picture() -> Photo:
    """A coloured picture of its own for every number, which no other is alike to."""

    def make(number: int, kind: str = "jpeg", side: int = 64, **how: int) -> bytes:
        content = io.BytesIO()
        cells = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        image = Image.fromarray(cells).resize((64, 64), Image.Resampling.BICUBIC)
        image.resize((side, side), Image.Resampling.BICUBIC).save(content, kind, **how)
        return content.getvalue()

    return make
