"""Pictures whose object is known: generated hard scenes, or a folder of images with an alpha channel or mask files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageOps
from torch import Tensor

from pgsclip.data.benchmark_scenes import benchmark_scenes
from pgsclip.data.image_file import ENDINGS, IMAGE_ENDINGS, open_image
from pgsclip.data.to_rgb import to_rgb
from pgsclip.errors import ImageError
from pgsclip.masking.pixels import normalise_pixels

MASK_ENDINGS = ("_mask", "-mask", ".mask")
_WAYS = (
    "An object is given by an alpha channel, by a file beside the image (cat.jpg and cat_mask.png), or by a file of "
    "the same name in a folder `masks` (masks/cat.png); white is object."
)


class Example(NamedTuple):
    """A picture and its object."""

    name: str
    group: str
    """Kind of scene, or the image's folder."""
    pixels: Float[Tensor, "3 H W"]
    """Pixels in CLIP's normalisation."""
    mask: Bool[Tensor, "H W"]
    """True where the object is."""


def draw_examples(count: int, side: int) -> list[Example]:
    """Draw hard scenes, all kinds in turn; the same for everybody."""
    return [
        Example(f"{number:04d}", scene.kind, normalise_pixels(scene.image), torch.from_numpy(scene.mask))
        for number, scene in enumerate(benchmark_scenes(count, side))
    ]


def read_examples(folder: Path, count: int, side: int) -> list[Example]:
    """Read the first `count` images of a folder and its subfolders that have a mask, in the order of their names.

    Image and mask are squeezed to a square of `side` pixels, so that no object is cut. Of an image with an alpha
    channel the colours are taken as they stand in the file, also where it is transparent.

    Raises:
        ImageError: no such folder, no image with a mask in it, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}. Give --images a folder, or `generated`.")
    found, without = [], 0
    for path in _list_images(folder):
        example = _read(path, folder, side)
        if example is None:
            without += 1
        elif not example.mask.any() or example.mask.all():
            raise ImageError(
                f"The mask of {path} shows {'no object' if not example.mask.any() else 'an object everywhere'}, "
                f"so nothing can be measured on it. White is object and black is background; remove or repair it."
            )
        else:
            found.append(example)
        if len(found) == count:
            break
    if not found:
        raise ImageError(f"None of the {without} images in {folder} has a known object. {_WAYS}")
    return found


def _list_images(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        is_mask = path.stem.endswith(MASK_ENDINGS) or "masks" in inside.parts[:-1]
        if (
            path.suffix.lower().removeprefix(".") in IMAGE_ENDINGS
            and not is_mask
            and not any(part.startswith(".") for part in inside.parts)
        ):
            yield path


def _read(path: Path, folder: Path, side: int) -> Example | None:
    image = _open(path)
    beside = _find_mask(path, folder)
    if beside is not None:
        known = _open(beside)
        # A mask is grey; one that is stored as a cut-out carries its shape in its alpha channel.
        cut = known.mode in ("RGBA", "LA") and np.asarray(known.getchannel("A")).min() < 255
        known = known.getchannel("A") if cut else known.convert("L")
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        known = image.convert("RGBA").getchannel("A")
    else:
        return None
    if known.size != image.size:
        raise ImageError(
            f"The mask {beside} has {known.width} x {known.height} pixels and its image {path} "
            f"{image.width} x {image.height}; make them the same size."
        )
    if beside is None:  # its alpha says what is object; the colours behind it are what a masker is asked about
        image = image.convert("RGBA").convert("RGB")
    colours = to_rgb(image)
    mask = np.asarray(known.resize((side, side), Image.Resampling.BOX)) >= 128
    squeezed = np.asarray(colours.resize((side, side), Image.Resampling.BICUBIC))
    return Example(path.name, path.parent.name, normalise_pixels(squeezed), torch.from_numpy(mask))


def _find_mask(path: Path, folder: Path) -> Path | None:
    """Find `cat_mask.png`, `masks/cat.png` beside the image, or `masks/…/cat.png` beside the folder `images`."""
    stems = [path.with_name(path.stem + ending) for ending in MASK_ENDINGS]
    stems += [path.parent / "masks" / path.stem, folder / "masks" / path.stem, path.parent.parent / "masks" / path.stem]
    for stem in stems:
        for ending in IMAGE_ENDINGS:
            candidate = stem.with_name(f"{stem.name}.{ending}")
            if candidate.is_file():
                return candidate
    return None


def _open(path: Path) -> Image.Image:
    try:
        with open_image(path) as file:
            file.load()
            return ImageOps.exif_transpose(file)
    except Exception as error:  # decoders of damaged files raise anything
        raise ImageError(f"{path} is not an image that can be read: {error}. Read are {', '.join(ENDINGS)}.") from None
