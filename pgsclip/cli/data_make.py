"""`pgsclip data make` and `pgsclip data clipart`: shards from images with captions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.data_settings import Settings, read_data_settings
from pgsclip.cli.options import Jobs, JsonFile

_IMAGES, _SHARDS, _COLUMNS = "Images", "Shards", "Columns of a table"

_Side = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PIXELS",
        help="Shorter side that larger images are scaled to; with --pad the longer one.",
        rich_help_panel=_IMAGES,
    ),
]
_Pad = Annotated[bool, typer.Option("--pad", help="Lay each image whole on a square.", rich_help_panel=_IMAGES)]
_Quality = Annotated[int, typer.Option(min=1, max=95, metavar="1..95", help="JPEG quality.", rich_help_panel=_IMAGES)]
_PerShard = Annotated[int, typer.Option(min=1, metavar="N", help="Pairs per shard.", rich_help_panel=_SHARDS)]
_HeldOut = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", help="Pairs kept for val-*.tar, which training evaluates on.", rich_help_panel=_SHARDS
    ),
]
_Shuffle = Annotated[bool, typer.Option("--shuffle", help="Write the pairs in random order.", rich_help_panel=_SHARDS)]
_ImageKey = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the images; found by its name if not given.", rich_help_panel=_COLUMNS
    ),
]
_CaptionKey = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the captions; found by its name if not given.", rich_help_panel=_COLUMNS
    ),
]


def make(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of images with .txt files beside them, CSV or TSV file, or Hugging Face dataset on disk.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the shards.")],
    side: _Side = None,
    pad: _Pad = False,
    quality: _Quality = 90,
    per_shard: _PerShard = 1000,
    held_out: _HeldOut = 0,
    shuffle: _Shuffle = False,
    image_key: _ImageKey = None,
    caption_key: _CaptionKey = None,
    settings: Settings = None,
    jobs: Jobs = None,
    json: JsonFile = None,
) -> None:
    """Write WebDataset shards from a folder, a table or a Hugging Face dataset.

    Pairs that cannot be used are left out and counted. After a stop the same command continues.

    **Examples**

    `pgsclip data make photos/ shards --side 256 --held-out 500 --shuffle`

    `pgsclip data make pairs.csv shards` — columns `filepath` and `title`; name others with --image-key, --caption-key
    """
    from pgsclip.cli.figures import write_figures
    from pgsclip.cli.waiting import show_late_bar
    from pgsclip.data.make import causes, make_shards
    from pgsclip.data.shard_writer import ShardOptions

    config = read_data_settings(settings, image_key=image_key, caption_key=caption_key)
    how = ShardOptions(side, pad, quality, per_shard, held_out, shuffle, config.background)
    with show_late_bar("making shards") as progress:
        made = make_shards(source, out, how, config=config, jobs=jobs, on_progress=progress)
    before = f", {made.kept:,} of them made before" if made.kept else ""
    typer.echo(f"{made.pairs:,} pairs in {made.shards:,} shard{'s' * (made.shards != 1)}{before}")
    if made.refused:
        typer.echo(f"left out: {causes(made)}")
    typer.echo(f"train with: pgsclip train --recipe clipart --data {out}")
    if json is not None:
        write_figures(json, {"pairs": made.pairs, "shards": made.shards, "refused": dict(made.refused)})


def clipart(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the shards.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE", help="Both packages, openclipart-png and openclipart-svg: .deb files or folders."
        ),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--download", help="Get both packages with apt-get download, 156 MB, into OUT.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Write the Open Clip Art set (public domain) from Debian's packages: drawings of 128 pixels with their titles.

    docs/tutorial-clipart.md continues from there.
    """
    from pgsclip.cli.waiting import show_late_bar
    from pgsclip.data.clipart import download, make_clipart
    from pgsclip.data.make import causes

    packages = download(out / "packages") if fetch else list(sources or [])
    with show_late_bar("making shards") as progress:
        made = make_clipart(out, packages, jobs=jobs, on_progress=progress)
    typer.echo(f"{made.pairs:,} pairs in {made.shards:,} shards")
    if made.refused:
        typer.echo(f"left out: {causes(made)}")
    typer.echo(f"train with: pgsclip train --recipe clipart --data {out}")
