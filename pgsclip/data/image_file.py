"""The one door to an encoded image: which formats are read, how large they may be, and how one is opened.

A format is recognised by its content and never by its name, and only those that hold pixels alone are opened: an EPS or
PDF is a program. Size in bytes and in pixels is known before anything is decoded.
"""

from __future__ import annotations

import io
import os
import warnings
from functools import cache
from pathlib import Path

from PIL import Image, features

MAX_BYTES = 2**29
"""Largest encoded image that is read: 512 MiB."""
MAX_PIXELS = 89_478_485
"""Largest image that is decoded; 256 MiB of RGB, where Pillow begins to warn of decompression bombs."""
ENDINGS = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "AVIF": ("avif",),
    "HEIF": ("heic", "heif", "hif"),
}
"""Format → the endings of its files, the usual one first."""
IMAGE_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)
_HEAD = 64
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIF"
)
_MAGIC = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
_OTHERS = {
    b"%PDF": "PDF", b"%!": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"8BPS": "PSD", b"\x00\x00\x01\x00": "ICO",
    b"\xff\x0a": "JPEG XL", b"\x00\x00\x00\x0cJXL ": "JPEG XL", b"\x00\x00\x00\x0cjP  ": "JPEG 2000", b"PK": "ZIP",
    b"\x1f\x8b": "gzip",
}  # fmt: skip


class UnsupportedImageError(ValueError):
    """An image in a format, or of a kind, that is not read."""


class NotAnImageError(ValueError):
    """A file that is no image at all."""


class ImageTooLargeError(ValueError):
    """An image that is larger than what is read or decoded."""


def open_image(source: bytes | Path) -> Image.Image:
    """Open an encoded image, not decoded yet; `to_rgb` decodes it.

    Raises:
        ImageTooLargeError: more bytes than `MAX_BYTES` or more pixels than `MAX_PIXELS`.
        UnsupportedImageError: another format, or one whose decoder is not installed.
        NotAnImageError: no image at all.
        Exception: whatever Pillow raises for a damaged file.
    """
    if isinstance(source, bytes):
        head, size = source[:_HEAD], len(source)
    else:
        with source.open("rb") as file:
            head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
    kind = find_format(head)
    if kind not in ENDINGS:
        if kind in ("", "HTML or XML"):
            raise NotAnImageError(f"the file is {kind or ('in no known image format' if size else 'empty')}")
        raise UnsupportedImageError(f"{kind} is not read; {', '.join(ENDINGS)} are")
    if size > MAX_BYTES:
        raise ImageTooLargeError(f"{size:,} bytes, at most {MAX_BYTES:,} are read")
    _check_pixels(_webp_size(head) if kind == "WEBP" else (0, 0))
    _load_decoder(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata; its pixels are bounded below
        try:
            picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=(kind,))
        except Image.DecompressionBombError as error:
            raise ImageTooLargeError(str(error)) from None
    _check_pixels(picture.size)
    return picture


def find_format(head: bytes) -> str:
    """Name the format of a file by its first 64 bytes; an empty string when nothing is known about it."""
    known = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
    if known:
        return known
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12]) or next(
            (_BRANDS[head[at : at + 4]] for at in range(16, _HEAD, 4) if head[at : at + 4] in _BRANDS), "MP4"
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "SVG" if b"<svg" in head else "HTML or XML"
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "")


def format_of(picture: Image.Image) -> str:
    """Name the format of an opened image; a JPEG that carries further pictures (MPO) is a JPEG."""
    return {"MPO": "JPEG"}.get(picture.format or "", picture.format or "")


def is_image_name(name: str) -> bool:
    """Tell by its ending, in any case, whether a file should be an image."""
    return "." in name and name.lower().rpartition(".")[2] in IMAGE_ENDINGS


def _check_pixels(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageTooLargeError(f"{size[0]:,} x {size[1]:,} pixels, at most {MAX_PIXELS:,} are decoded")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Read the size of a WebP, whose decoder allocates all of it as it opens (RFC 9649, sections 2.5 to 2.7)."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


@cache
def _load_decoder(kind: str) -> None:
    """Register a decoder that does not come with Pillow."""
    if kind == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise UnsupportedImageError("HEIF needs the package pillow-heif: pip install pillow-heif") from None
        pillow_heif.register_heif_opener()
    if kind == "AVIF" and not features.check("avif"):
        try:
            import pillow_avif  # noqa: F401 - registers itself
        except ImportError:
            raise UnsupportedImageError("AVIF needs Pillow 11.3 or newer, or pillow-avif-plugin") from None
