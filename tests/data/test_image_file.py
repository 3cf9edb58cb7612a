from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsclip.data import image_file
from pgsclip.data.image_file import (
    ENDINGS,
    MAX_PIXELS,
    ImageTooLargeError,
    NotAnImageError,
    UnsupportedImageError,
    find_format,
    format_of,
    is_image_name,
    open_image,
)


def encoded(kind: str, size: tuple[int, int] = (6, 4), **how: object) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (90, 30, 200)).save(content, kind, **how)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_a_format_is_known_by_its_content_and_not_by_its_name(tmp_path: Path, kind: str) -> None:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    content = encoded(kind)
    assert find_format(content[:64]) == kind
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png"):
        with open_image(source) as picture:
            assert format_of(picture) == kind
            assert picture.size == (6, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "EPS"),
        (b"\xc5\xd0\xd3\xc6 EPS with a preview", "EPS"),
        (b"%PDF-1.4\n", "PDF"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><html>not found</html>", "the file is HTML or XML"),
        (b"P6 1 1 255 \0\0\0", "the file is in no known image format"),
        (b"\0\0\x01\0" + bytes(60), "ICO"),
        (b"8BPS" + bytes(60), "PSD"),
        (b"", "the file is empty"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "the file is in no known"),
    ],
)
def test_what_is_no_picture_of_pixels_is_not_opened(content: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("asked Pillow"))
    with pytest.raises(NotAnImageError if said.startswith("the file") else UnsupportedImageError, match=f"^{said}"):
        open_image(content)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header alone is whole."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9)))


def webp_of(width: int, height: int, form: str) -> bytes:
    """A WebP whose header alone is whole."""
    if form == "VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif form == "VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    else:
        body = b"\0\0\0\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    chunk = form.encode() + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"WEBP" + chunk.ljust(60, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        png_of(30_000, 30_000),
        png_of(9_500, 9_500),
        *(webp_of(16_000, 16_000, form) for form in ("VP8X", "VP8L", "VP8 ")),
    ],
)
def test_too_many_pixels_are_refused_before_anything_is_decoded(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content[:4] == b"RIFF":
        monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("asked Pillow, which allocates all"))
    with pytest.raises(ImageTooLargeError, match=r"pixels|decompression"):
        open_image(content)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_file, "MAX_BYTES", 2000)
    (tmp_path / "a.bmp").write_bytes(encoded("BMP", (40, 40)))
    for source in (tmp_path / "a.bmp", encoded("BMP", (40, 40))):
        with pytest.raises(ImageTooLargeError, match=r"bytes, at most 2,000"):
            open_image(source)
    assert open_image(encoded("BMP", (9, 9))).size == (9, 9)


def test_the_largest_picture_is_one_that_is_decoded() -> None:
    width = int(MAX_PIXELS**0.5)
    assert open_image(png_of(width, width)).size == (width, width)


@pytest.mark.parametrize("form", ["lossy", "lossless", "extended"])
def test_the_size_of_a_webp_is_read_as_its_decoder_reads_it(form: str) -> None:
    size = (301, 77)
    image = Image.new("RGBA" if form == "extended" else "RGB", size)
    content = io.BytesIO()
    image.save(content, "WEBP", lossless=form == "lossless", exif=Image.Exif() if form == "extended" else b"")
    assert image_file._webp_size(content.getvalue()[:64]) == size == open_image(content.getvalue()).size


def test_endings_in_any_case() -> None:
    assert all(is_image_name(f"a.b.{ending.upper()}") for endings in ENDINGS.values() for ending in endings)
    assert not any(map(is_image_name, ("a.txt", "a.eps", "jpg", "", "a.jpg.txt")))


def test_a_heic_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    image_file._load_decoder.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypheic" + bytes(52)
    with pytest.raises(UnsupportedImageError, match="pillow-heif"):
        open_image(head)
    image_file._load_decoder.cache_clear()


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "gone.jpg")


def test_pixels_of_a_known_file(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(encoded("GIF"))
    with open_image(tmp_path / "a.gif") as picture:
        assert np.asarray(picture.convert("RGB"))[2, 3].tolist() == [90, 30, 200]
