"""The contact sheet of a data set: pairs drawn over the whole of it, each with its caption and what maskers keep."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from textwrap import shorten

from PIL import Image, ImageOps

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Fault
from pgsclip.data.decoding import decode_pair
from pgsclip.data.source import Raw
from pgsclip.data.spec import open_source
from pgsclip.errors import DataError
from pgsclip.seeding import derive
from pgsclip.viz.explain import MaskerColumn
from pgsclip.viz.pictures import PATCH, SIDE, Picture, cut_picture
from pgsclip.viz.sheet import Panel, hide_patches

_LETTERS = 34
"""Letters of a caption that are shown, so that it is about as wide as its picture."""
_READ = 2000
"""Pairs from the start of the data among which the sheet's are drawn; all would mean reading every shard."""


def draw_contact_sheet(
    spec: str, columns: list[MaskerColumn], *, count: int, across: int, seed: int, config: DataConfig | None = None
) -> list[list[Panel]]:
    """Draw rows of panels: each pair's image with its caption, and beside it what each masker keeps.

    Args:
        count: pairs on the sheet.
        across: pairs in a row.
        seed: decides which pairs are drawn, and all chance in the masks.

    Raises:
        DataError: the data is not there, or nothing in it can be read.
    """
    config = config or DataConfig()
    config = config.model_copy(update={"samples": config.samples or _READ})  # a number that is given is not counted
    source = open_source(spec, config)
    raws = [item for item in islice(source.read_all(), _READ) if isinstance(item, Raw)]
    random.Random(derive(seed, "contact")).shuffle(raws)
    pairs = list(islice(_open(raws, config.background), count))
    if not pairs:
        raise DataError(f"Nothing in {spec} can be shown; `pgsclip data check` tells what is wrong with it.")
    cells = [_draw_pair(picture, caption, columns, seed) for picture, caption in pairs]
    return [
        [panel for cell in cells[start : start + across] for panel in cell] for start in range(0, len(cells), across)
    ]


def _open(raws: Iterable[Raw], background: str) -> Iterable[tuple[Picture, str]]:
    for raw in raws:
        image = decode_pair(raw, background)
        if not isinstance(image, Fault):
            # the middle of the picture, as training's crops have it on average
            yield cut_picture(raw.key, ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC), PATCH), raw.caption


def _draw_pair(picture: Picture, caption: str, columns: list[MaskerColumn], seed: int) -> list[Panel]:
    panels = [Panel(picture.name, picture.image, shorten(caption, _LETTERS, placeholder=" …"))]
    for column in columns:
        own_seed = derive(seed, picture.name)  # else all pictures would have one random mask
        kept = column.choose_patches(picture, seed=own_seed, progress=0.0)
        share = f"kept {len(kept) / picture.grid.patches:.0%}"
        panels.append(Panel(column.title, hide_patches(picture.image, kept.numpy(), picture.grid), share))
    return panels
