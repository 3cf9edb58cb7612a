"""A few images of a run's own data, to look at its masks on."""

from __future__ import annotations

from itertools import islice

from PIL import Image

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import decode_pair
from pgsclip.data.source import Raw
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.viz.pictures import PATCH, SIDE, Picture, cut_picture


def read_samples(data: DataConfig, count: int = 4) -> list[Picture]:
    """Read the first held-out images beside the training data, or of the training data where it holds none out.

    Raises:
        DataError: the data is not there.
    """
    spec = find_held_out(data.spec) or data.spec
    source = open_source(spec, data.model_copy(update={"samples": 1}))  # a number that is given is not counted
    found = ((item, decode_pair(item, data.background)) for item in source.read_all() if isinstance(item, Raw))
    readable = ((raw, image) for raw, image in found if not isinstance(image, Fault))
    return [_squeeze(raw.key, image) for raw, image in islice(readable, count)]


def _squeeze(name: str, image: Image.Image) -> Picture:
    return cut_picture(name, image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), PATCH)
