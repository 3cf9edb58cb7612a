from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pgsclip.errors import ImageError
from pgsclip.viz.save import save_picture


def test_a_picture_is_written_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    save_picture(Image.new("RGB", (3, 2), "red"), tmp_path / "a.png")
    save_picture(Image.new("RGB", (4, 2), "red"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert (written.size, written.format) == ((4, 2), "PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_picture(Image.new("RGB", (3, 2)), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(self: Image.Image, path: Path, **how: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(
        ImageError, match=r"The plot cannot be written to .*a.png: No space left on device. Give another --plot"
    ):
        save_picture(Image.new("RGB", (9, 9)), tmp_path / "a.png", "--plot", "plot")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
