"""Every shape annotation of pgsclip is checked while the tests run; pictures and tars for all rooms."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook
from PIL import Image

install_import_hook("pgsclip", "beartype.beartype")

Members = Iterable[tuple[str, bytes | str]]
WriteTar = Callable[..., str]
Photo = Callable[..., bytes]


@pytest.fixture(scope="session")
def photo() -> Photo:
    """A picture that is another one for every number: its mean grey tells which."""

    def make(number: int = 0, kind: str = "png", side: int = 8) -> bytes:
        content = io.BytesIO()
        pixels = np.full((side, side, 3), number % 256, np.uint8)
        pixels[0, 0] = number // 256
        Image.fromarray(pixels).save(content, kind)
        return content.getvalue()

    return make


@pytest.fixture
def write_tar(tmp_path: Path) -> WriteTar:
    """(name, [(member, content)]) → path of a tar with these members in this order."""

    def write(name: str, members: Members) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for member, content in members:
                data = content.encode() if isinstance(content, str) else content
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return str(path)

    return write
