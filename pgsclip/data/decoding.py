"""From a pair as it lies in the data to its decoded picture, or to the cause why there is none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from PIL import Image

from pgsclip.data.batch import Fault
from pgsclip.data.source import Raw
from pgsclip.data.to_rgb import to_rgb
from pgsclip.errors import InstallationError

T = TypeVar("T")


def decoded(raw: Raw, use: Callable[[Callable[[], Image.Image]], T]) -> T | Fault:
    """What `use` makes of a picture; it is given what opens it, and opens it as often as it likes.

    Returns:
        a Fault, never an exception, for whatever a damaged, missing or monstrous file does to a decoder.

    Raises:
        InstallationError: `use` needs a library that cannot be loaded here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return use(raw.picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Fault("image too large", raw.shard, raw.key, str(error))
    except FileNotFoundError as error:
        return Fault("missing image", raw.shard, raw.key, str(error))
    except InstallationError:
        raise  # no fault of the picture
    except Exception as error:  # decoders of damaged files raise anything
        return Fault("corrupt image", raw.shard, raw.key, f"{type(error).__name__}: {error}")


def decoded_rgb(raw: Raw) -> Image.Image | Fault:
    """The whole picture, upright."""

    def whole(open_picture: Callable[[], Image.Image]) -> Image.Image:
        with open_picture() as picture:
            return to_rgb(picture)

    return decoded(raw, whole)
