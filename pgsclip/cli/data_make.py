"""`pgsclip data make`: shards from what people have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.data_settings import Settings, read_data_settings


def make(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Folder of images with .txt beside, CSV/TSV, or a dataset of Hugging Face."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the shards.")],
    side: Annotated[
        int | None, typer.Option(min=1, help="Scale larger images until the shorter side has so many pixels.")
    ] = None,
    pad: Annotated[
        bool, typer.Option("--pad", help="Lay each image whole on a square; --side is the longest then.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=95, help="Of the JPEGs that are written.")] = 90,
    per_shard: Annotated[int, typer.Option(min=1, help="Pairs a shard is made from.")] = 1000,
    held_out: Annotated[int, typer.Option(min=0, help="Pairs for val-*.tar, which training evaluates on.")] = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Deal the pairs out in a random order.")] = False,
    image_key: Annotated[str | None, typer.Option(help="Column of the images; found by its name if not given.")] = None,
    caption_key: Annotated[str | None, typer.Option(help="Column of the captions; found likewise.")] = None,
    settings: Settings = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Shards made at once; one a core if not given.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the counts there.")] = None,
) -> None:
    """Make WebDataset shards; what cannot be decoded is left out and counted. The same command goes on after a stop.

    **Examples**

    `pgsclip data make photos/ shards --side 256 --held-out 500 --shuffle`

    `pgsclip data make pairs.csv shards` — a column `filepath` and a column `title`, or name others
    """
    from pgsclip.cli.figures import write_figures
    from pgsclip.cli.waiting import late_bar
    from pgsclip.data.make import causes, make_shards
    from pgsclip.data.shard_writer import ShardOptions

    config = read_data_settings(settings, image_key=image_key, caption_key=caption_key)
    how = ShardOptions(side, pad, quality, per_shard, held_out, shuffle, config.background)
    with late_bar("making shards") as progress:
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
        typer.Argument(metavar="[SOURCE]...", help="openclipart-png and -svg: .deb files or unpacked folders."),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--download", help="Get both packages with apt-get download, 156 MB, into OUT.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Shards made at once; one a core if not given.")] = None,
) -> None:
    """Make the Open Clip Art set, public domain, from Debian's packages: drawings of 128 pixels with their titles.

    docs/tutorial-clipart.md goes on from there.
    """
    from pgsclip.cli.waiting import late_bar
    from pgsclip.data.clipart import download, make_clipart
    from pgsclip.data.make import causes

    packages = download(out / "packages") if fetch else list(sources or [])
    with late_bar("making shards") as progress:
        made = make_clipart(out, packages, jobs=jobs, on_progress=progress)
    typer.echo(f"{made.pairs:,} pairs in {made.shards:,} shards")
    if made.refused:
        typer.echo(f"left out: {causes(made)}")
    typer.echo(f"train with: pgsclip train --recipe clipart --data {out}")
