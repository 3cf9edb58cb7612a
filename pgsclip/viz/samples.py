"""A few images of a run's own data, to look at its masks on."""

from __future__ import annotations

from itertools import islice

from PIL import Image

from pgsclip.config.schema import DataConfig
from pgsclip.data.source import Raw
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.data.to_rgb import to_rgb
from pgsclip.viz.pictures import PATCH, SIDE, Picture, cut_picture


def read_samples(data: DataConfig, count: int = 4) -> list[Picture]:
    """Read the first held-out images beside the training data, or of the training data where it holds none out.

    Raises:
        DataError: the data is not there.
    """
    spec = find_held_out(data.spec) or data.spec
    source = open_source(spec, data.model_copy(update={"samples": 1}))  # a number that is given is not counted
    raws = (item for item in source.read_all() if isinstance(item, Raw))
    return [_squeeze(raw) for raw in islice(raws, count)]


def _squeeze(raw: Raw) -> Picture:
    return cut_picture(raw.key, to_rgb(raw.picture()).resize((SIDE, SIDE), Image.Resampling.BICUBIC), PATCH)
