"""The contact sheet of a data set: pairs drawn over the whole of it, each with its caption and what maskers keep."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from textwrap import shorten

from PIL import Image, ImageOps

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import decoded_rgb
from pgsclip.data.source import Raw
from pgsclip.data.spec import open_source
from pgsclip.errors import DataError
from pgsclip.grid import Grid
from pgsclip.seeding import derive
from pgsclip.viz.explain import Column
from pgsclip.viz.pictures import Picture, normalised
from pgsclip.viz.sheet import Panel, masked

SIDE, PATCH = 224, 16
_LETTERS = 34
"""Of a caption, so that it is about as wide as its picture."""
_READ = 2000
"""Pairs from the start of the data among which the sheet's are drawn; all would mean reading every shard."""


def contact_sheet(
    spec: str, columns: list[Column], *, count: int, across: int, seed: int, config: DataConfig | None = None
) -> list[list[Panel]]:
    """Rows of panels: each pair's image with its caption, and beside it what each masker keeps.

    Args:
        count: pairs on the sheet.
        across: pairs in a row.
        seed: which pairs, and all chance in the masks.

    Raises:
        DataError: the data is not there, or nothing in it can be read.
    """
    config = config or DataConfig()
    source = open_source(
        spec, config.model_copy(update={"samples": config.samples or _READ})
    )  # given: nothing is counted
    raws = [item for item in islice(source.read_all(), _READ) if isinstance(item, Raw)]
    random.Random(derive(seed, "contact")).shuffle(raws)
    pairs = list(islice(_opened(raws), count))
    if not pairs:
        raise DataError(f"Nothing in {spec} can be shown; `pgsclip data check` tells what is wrong with it.")
    cells = [_panels(picture, caption, columns, seed) for picture, caption in pairs]
    return [
        [panel for cell in cells[start : start + across] for panel in cell] for start in range(0, len(cells), across)
    ]


def _opened(raws: Iterable[Raw]) -> Iterable[tuple[Picture, str]]:
    for raw in raws:
        image = decoded_rgb(raw)
        if not isinstance(image, Fault):
            # the middle of the picture, as training's crops have it on average
            square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)
            yield Picture(raw.key, square, normalised(square), Grid(SIDE // PATCH, SIDE // PATCH, PATCH)), raw.caption


def _panels(picture: Picture, caption: str, columns: list[Column], seed: int) -> list[Panel]:
    panels = [Panel(picture.name, picture.image, shorten(caption, _LETTERS, placeholder=" …"))]
    for column in columns:
        kept = column.kept(picture, seed=derive(seed, picture.name), progress=0.0)  # chance of its own for each
        share = f"kept {len(kept) / picture.grid.patches:.0%}"
        panels.append(Panel(column.title, masked(picture.image, kept.numpy(), picture.grid), share))
    return panels
