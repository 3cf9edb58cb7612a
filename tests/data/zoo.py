"""A zoo of encoded pictures, small and of every kind that the decoder settles, each with what it shows.

What a picture shows is told by libvips, which shares neither code nor decisions with Pillow. Where libvips cannot read
a kind (BMP, HEIC) or shows what no browser does (CMYK without a profile), it is told by the numbers that were written.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageCms

WIDTH, HEIGHT = 128, 96
Pixels = NDArray[np.uint8]


class Animal(NamedTuple):
    """One encoded picture."""

    name: str
    """Ending of its file last: `rgba.png`."""
    content: bytes
    shows: Pixels
    """(H, W, 3), upright, on white."""


def zoo() -> list[Animal]:
    """All of them."""
    found: dict[str, tuple[bytes, Pixels | None]] = {}
    for keep in (_jpegs, _pngs, _webps, _gifs, _bmps, _tiffs, _avifs):
        found |= keep()
    return [
        Animal(name, content, shown_by_vips(content) if shows is None else shows)
        for name, (content, shows) in found.items()
    ]


def shown_by_vips(content: bytes) -> Pixels:
    """Upright sRGB of 8 bits on white, by libvips."""
    image = pyvips.Image.new_from_buffer(content, "").autorot()
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True)
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    pixels = image.cast("uchar").numpy().reshape(image.height, image.width, -1)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def photo(number: int = 0) -> Image.Image:
    """Smooth colours, another picture for each number; no two corners alike, so that a turn is seen."""
    cells = np.random.default_rng(number).integers(40, 216, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def ring() -> Image.Image:
    """A see-through picture: colour in a ring, soft at its rim, nothing elsewhere."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    away = np.hypot(down - HEIGHT / 2, across - WIDTH / 2)
    image = photo()
    image.putalpha(Image.fromarray((255 * (1.5 - np.abs(away - 30) / 10).clip(0, 1)).astype(np.uint8)))
    return image


def save(image: Image.Image, kind: str, **how: Any) -> bytes:
    """Encode an image."""
    content = io.BytesIO()
    image.save(content, kind, **how)
    return content.getvalue()


def orientation(number: int) -> Image.Exif:
    """EXIF that says how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def matrix_profile(gamma: float = 2.2) -> bytes:
    """An RGB profile with the primaries of Adobe RGB (1998) and a plain gamma, written by hand after ICC.1."""
    columns = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087),
               b"bXYZ": (0.14919, 0.06322, 0.74457)}  # fmt: skip
    tags = {name: b"XYZ \0\0\0\0" + _fixed(*values) for name, values in columns.items()}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float = 1.0) -> bytes:
    """A grey profile with a plain gamma."""
    return _profile(b"GRAY", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"})


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(0.9642, 1.0, 0.82491), **tags}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78) + b"\0\0"
    tags[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.82491)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _vips(image: Image.Image) -> Any:
    return pyvips.Image.new_from_array(np.asarray(image)).copy(interpretation="srgb")


def _builtin_profile(name: str) -> bytes:
    """One of the profiles that come with libvips: srgb, p3, cmyk."""
    return bytes(pyvips.Operation.call("profile_load", name))


def _without_profile(cmyk: Image.Image) -> Pixels:
    """CMYK as Chrome and Firefox show it: (1 - C)(1 - K), (1 - M)(1 - K), (1 - Y)(1 - K)."""
    ink = np.asarray(cmyk, np.float64) / 255
    return (255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])).round().astype(np.uint8)


def _jpegs() -> dict[str, tuple[bytes, Pixels | None]]:
    image, inks = photo(), photo(1).convert("CMYK")
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    coloured = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(_builtin_profile("cmyk"))),
        outputMode="CMYK",
    )  # fmt: skip
    assert coloured is not None
    plain_inks = save(inks, "JPEG", quality=95)
    found: dict[str, tuple[bytes, Pixels | None]] = {
        "plain.jpg": (save(image, "JPEG", quality=95), None),
        "full colour.jpg": (save(image, "JPEG", quality=95, subsampling=0), None),
        "progressive.jpg": (save(image, "JPEG", progressive=True), None),
        "grey.jpg": (save(image.convert("L"), "JPEG"), None),
        "adobe rgb.jpg": (save(image, "JPEG", quality=95, icc_profile=matrix_profile()), None),
        "display p3.jpg": (save(image, "JPEG", quality=95, icc_profile=_builtin_profile("p3")), None),
        "srgb profile.jpg": (save(image, "JPEG", quality=95, icc_profile=_builtin_profile("srgb")), None),
        "grey of gamma 1.jpg": (save(image.convert("L"), "JPEG", quality=95, icc_profile=grey_profile()), None),
        "cmyk with profile.jpg": (
            save(coloured, "JPEG", quality=95, icc_profile=_builtin_profile("cmyk")), None
        ),
        "cmyk.jpg": (plain_inks, _without_profile(Image.open(io.BytesIO(plain_inks)))),
        "damaged profile.jpg": (save(image, "JPEG", quality=95, icc_profile=b"\0" * 200), None),
        "profile of another space.jpg": (save(image, "JPEG", quality=95, icc_profile=grey_profile()), None),
        "turned by xmp alone.jpg": (save(image, "JPEG", quality=95, xmp=packet.encode()), None),
        "two pictures.jpg": (
            save(image, "MPO", quality=95, save_all=True, append_images=[photo(2)]),
            shown_by_vips(save(image, "JPEG", quality=95)),
        ),
    }  # fmt: skip
    return found | {
        f"turned {number}.jpg": (save(image, "JPEG", quality=95, exif=orientation(number)), None)
        for number in range(1, 9)
    }


def _pngs() -> dict[str, tuple[bytes, Pixels | None]]:
    image, clear = photo(), ring()
    few = image.quantize(16)
    bright = image.convert("L").point(lambda value: value // 16 * 16)
    flat = image.copy()
    flat.paste((10, 200, 30), (16, 16, 48, 80))
    wide = _vips(image).colourspace("rgb16")
    grey = _vips(image).colourspace("grey16")
    ramp = pyvips.Image.new_from_array(np.tile(np.linspace(0, 65535, WIDTH), (HEIGHT, 1)).astype(np.uint16))
    steps = (np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) // 1024) * 5000
    return {
        "plain.png": (save(image, "PNG"), None),
        "grey.png": (save(image.convert("L"), "PNG"), None),
        "grey with alpha.png": (save(clear.convert("LA"), "PNG"), None),
        "see-through.png": (save(clear, "PNG"), None),
        "see-through in p3.png": (save(clear, "PNG", icc_profile=_builtin_profile("p3")), None),
        "palette.png": (save(few, "PNG"), None),
        "palette with one clear.png": (save(few, "PNG", transparency=3), None),
        "palette with alphas.png": (save(few, "PNG", transparency=bytes(range(0, 256, 16))), None),
        "one clear grey.png": (save(bright, "PNG", transparency=112), None),
        "one clear colour.png": (save(flat, "PNG", transparency=(10, 200, 30)), None),
        "one bit.png": (save(image.convert("1"), "PNG"), None),
        "one bit, white clear.png": (save(image.convert("1"), "PNG", transparency=1), None),
        "16 bits grey.png": (grey.pngsave_buffer(), None),
        "16 bits, one clear grey.png": (save(Image.fromarray(steps), "PNG", transparency=25000), None),
        "16 bits.png": (wide.pngsave_buffer(), None),
        "16 bits with alpha.png": (wide.bandjoin(ramp).pngsave_buffer(), None),
        "16 bits grey with alpha.png": (grey.bandjoin(ramp).pngsave_buffer(), None),
        "interlaced.png": (_vips(image).pngsave_buffer(interlace=True), None),
        "turned.png": (save(image, "PNG", exif=orientation(8)), None),
        "adobe rgb.png": (save(image, "PNG", icc_profile=matrix_profile()), None),
        "moving.png": (save(image, "PNG", save_all=True, append_images=[photo(2)]), None),
    }


def _webps() -> dict[str, tuple[bytes, Pixels | None]]:
    image, clear = photo(), ring()
    return {
        "plain.webp": (save(image, "WEBP", quality=95), None),
        "lossless.webp": (save(image, "WEBP", lossless=True), None),
        "see-through.webp": (save(clear, "WEBP", lossless=True), None),
        "turned.webp": (save(image, "WEBP", quality=95, exif=orientation(6)), None),
        "adobe rgb.webp": (save(image, "WEBP", quality=95, icc_profile=matrix_profile()), None),
        "moving.webp": (save(image, "WEBP", quality=95, save_all=True, append_images=[photo(2)]), None),
    }


def _gifs() -> dict[str, tuple[bytes, Pixels | None]]:
    few = photo().quantize(32)
    return {
        "plain.gif": (save(few, "GIF"), None),
        "see-through.gif": (save(few, "GIF", transparency=3), None),
        "grey.gif": (save(photo().convert("L"), "GIF"), None),
        "moving.gif": (save(few, "GIF", save_all=True, append_images=[photo(2).quantize(32)]), None),
    }


def _bmps() -> dict[str, tuple[bytes, Pixels | None]]:
    """libvips reads none without ImageMagick; nothing is lost in one, so that it shows what was written."""
    image, few = photo(), photo().quantize(64)
    return {
        "plain.bmp": (save(image, "BMP"), np.asarray(image)),
        "palette.bmp": (save(few, "BMP"), np.asarray(few.convert("RGB"))),
        "grey.bmp": (save(image.convert("L"), "BMP"), np.asarray(image.convert("L").convert("RGB"))),
        "one bit.bmp": (save(image.convert("1"), "BMP"), np.asarray(image.convert("1").convert("RGB"))),
    }


def _tiffs() -> dict[str, tuple[bytes, Pixels | None]]:
    image, clear = photo(), ring()
    grey = np.asarray(image.convert("L"))
    inks = photo(1).convert("CMYK")
    write: Callable[..., bytes] = _vips(image).tiffsave_buffer
    return {
        "plain.tif": (save(image, "TIFF"), None),
        "lzw.tif": (save(image, "TIFF", compression="tiff_lzw"), None),
        "jpeg inside.tiff": (write(compression="jpeg", Q=95), None),
        "tiled.tif": (write(tile=True, tile_width=16, tile_height=16, compression="deflate"), None),
        "big.tif": (write(bigtiff=True), None),
        "see-through.tif": (save(clear, "TIFF"), None),
        "grey with alpha.tif": (save(clear.convert("LA"), "TIFF"), None),
        "one bit.tif": (save(image.convert("1"), "TIFF", compression="group4"), None),
        "16 bits grey.tif": (save(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"), None),
        "16 bits.tif": (_vips(image).colourspace("rgb16").tiffsave_buffer(), None),
        "32 bits.tif": (save(Image.fromarray(grey.astype(np.int32)), "TIFF"), None),
        "float.tif": (save(Image.fromarray(grey.astype(np.float32)), "TIFF"), None),
        "turned.tif": (save(image, "TIFF", tiffinfo={0x0112: 6}), None),
        "cmyk.tif": (save(inks, "TIFF"), _without_profile(inks)),
        "adobe rgb.tif": (save(image, "TIFF", icc_profile=matrix_profile()), None),
        "pages.tif": (save(image, "TIFF", save_all=True, append_images=[photo(2)]), None),
    }


def _avifs() -> dict[str, tuple[bytes, Pixels | None]]:
    """libvips may lack the codec of HEIC, which shows nearly what was written. EXIF does not turn one: a box does."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    image, clear = photo(), ring()
    return {
        "plain.avif": (save(image, "AVIF", quality=95), None),
        "see-through.avif": (save(clear, "AVIF", quality=95), None),
        "turned.avif": (save(image, "AVIF", quality=95, exif=orientation(6)), None),
        "plain.heic": (save(image, "HEIF", quality=95), np.asarray(image)),
        "not turned by exif.heic": (save(image, "HEIF", quality=95, exif=orientation(6)), np.asarray(image)),
    }
