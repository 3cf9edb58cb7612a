"""A few images of a run's own data, to look at its masks on."""

from __future__ import annotations

from itertools import islice

from PIL import Image

from pgsclip.config.schema import DataConfig
from pgsclip.data.source import Raw
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.data.to_rgb import to_rgb
from pgsclip.grid import Grid
from pgsclip.viz.pictures import Picture, normalised

SIDE, PATCH = 224, 16


def sample_pictures(data: DataConfig, count: int = 4) -> list[Picture]:
    """The first images that belong to the training data but are not trained on, else of the training data itself.

    Raises:
        DataError: the data is not there.
    """
    spec = find_held_out(data.spec) or data.spec
    source = open_source(spec, data.model_copy(update={"samples": 1}))  # 1: nothing is counted
    raws = (item for item in source.read_all() if isinstance(item, Raw))
    return [_picture(raw) for raw in islice(raws, count)]


def _picture(raw: Raw) -> Picture:
    image = to_rgb(raw.picture()).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return Picture(raw.key, image, normalised(image), Grid(SIDE // PATCH, SIDE // PATCH, PATCH))
