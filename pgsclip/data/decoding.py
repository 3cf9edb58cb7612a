"""From a pair as it lies in the data to its decoded picture, or to the cause why there is none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PIL import Image

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data.batch import Fault
from pgsclip.data.image_file import ImageTooLargeError, UnsupportedImageError, open_image
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import to_rgb
from pgsclip.errors import InstallationError

T = TypeVar("T")


def read_image(source: bytes | Path | str, background: str = BACKGROUND) -> Image.Image:
    """Read an image as training reads it: upright, sRGB, 8 bits, on a ground of one colour.

    Args:
        source: a file, or the bytes of one.
        background: colour that shows where the image is see-through, by name or as `#rrggbb`.

    Raises:
        Exception: what `open_image` and `to_rgb` raise.
    """
    with open_image(Path(source) if isinstance(source, str) else source) as picture:
        return to_rgb(picture, background)


def try_decode(raw: Raw, use: Callable[[Callable[[], Image.Image]], T]) -> T | Fault:
    """Return what `use` makes of a picture; `use` is given what opens it, and opens it as often as it likes.

    A Fault is returned, and nothing raised, for whatever a damaged, missing or monstrous file does to a decoder.

    Raises:
        InstallationError: `use` needs a library that cannot be loaded here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return use(raw.picture)
    except (ImageTooLargeError, Image.DecompressionBombError) as error:
        return Fault("image too large", raw.shard, raw.key, str(error))
    except UnsupportedImageError as error:
        return Fault("unsupported image", raw.shard, raw.key, str(error))
    except FileNotFoundError as error:
        return Fault("missing image", raw.shard, raw.key, str(error))
    except InstallationError:
        raise  # no fault of the picture
    except Exception as error:  # decoders of damaged files raise anything
        return Fault("corrupt image", raw.shard, raw.key, f"{type(error).__name__}: {error}")


def decode_pair(raw: Raw, background: str = BACKGROUND) -> Image.Image | Fault:
    """Decode the whole picture of a pair, upright."""

    def whole(open_picture: Callable[[], Image.Image]) -> Image.Image:
        with open_picture() as picture:
            return to_rgb(picture, background)

    return try_decode(raw, whole)
