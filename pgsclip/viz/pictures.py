"""Images as a masker sees them, a tensor, and as a person sees them, a picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data import decoding
from pgsclip.data.image_file import ENDINGS
from pgsclip.errors import ImageError
from pgsclip.grid import Grid
from pgsclip.masking import pixels

SIDE, PATCH = 224, 16
"""Pixels of a picture and of a patch where nobody asks for others."""
_LONGEST = 16
"""Longer side by shorter side beyond which a picture is cut: a line of pixels would fill a sheet of its own."""


class Picture(NamedTuple):
    """One image, cut to whole patches."""

    name: str
    image: Image.Image
    pixels: Float[Tensor, "1 3 H W"]
    """Normalised as open_clip does."""
    grid: Grid
    embeddings: Float[Tensor, "1 L D"] | None = None
    """Patch embeddings of a trained model; raw pixels stand in for them when None."""


def open_picture(path: Path, size: int, patch: int, background: str = BACKGROUND) -> Picture:
    """Read an image, bring its shorter side to `size` and crop the middle to whole patches.

    It stays as wide as it is.

    Raises:
        ImageError: missing, no image, or smaller than one patch.
    """
    image = read_image(path, background)
    if size < patch:
        raise ImageError(f"An image side of {size} pixels holds no patch of {patch}; raise --image-size.")
    scale = size / min(image.size)
    image = image.resize([max(size, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    columns, rows = (side // patch for side in image.size)
    left, top = (image.width - columns * patch) // 2, (image.height - rows * patch) // 2
    return cut_picture(path.name, image.crop((left, top, left + columns * patch, top + rows * patch)), patch)


def cut_picture(name: str, image: Image.Image, patch: int) -> Picture:
    """Cut an RGB image into patches; its sides are multiples of `patch`."""
    grid = Grid(image.height // patch, image.width // patch, patch)
    return Picture(name, image, normalise_image(image), grid)


def read_image(path: Path, background: str = BACKGROUND) -> Image.Image:
    """Read an image file, upright and RGB; of one that is over 16 times as long as wide, the middle.

    Raises:
        ImageError: missing, or no image.
    """
    try:
        return _cut_to(decoding.read_image(path, background), _LONGEST)
    except FileNotFoundError:
        raise ImageError(f"There is no image {path}.") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder; name its images, for example {path}/*.jpg.") from None
    except Exception as error:  # decoders of damaged files raise anything
        raise ImageError(f"{path} is not an image that can be read: {error}. Read are {', '.join(ENDINGS)}.") from None


def _cut_to(image: Image.Image, times: int) -> Image.Image:
    """Keep the middle of an image whose longer side is more than `times` the shorter."""
    width, height = (min(side, times * min(image.size)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if (width, height) == image.size else image.crop((left, top, left + width, top + height))


def normalise_image(image: Image.Image) -> Float[Tensor, "1 3 H W"]:
    """Return the pixels of an RGB image in CLIP's normalisation."""
    return pixels.normalise_pixels(np.asarray(image)).unsqueeze(0)
