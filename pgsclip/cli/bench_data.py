"""`pgsclip bench data`: how fast images are read."""

from __future__ import annotations

from typing import Annotated

import typer

from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import ImageSize, JsonFile, Repeats


def bench_data(
    spec: Annotated[
        str,
        typer.Option(
            "--data", metavar="SPEC", help="Images to read, as for `train`; `generated` draws JPEGs of 500 pixels."
        ),
    ] = "generated",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Images to read.")] = 200,
    image_size: ImageSize = 224,
    repeats: Repeats = 5,
    json_file: JsonFile = None,
) -> None:
    """Time the way of an image from bytes to training tensor on one core, beside open_clip's transform."""
    from rich.console import Console

    from pgsclip.benchmarks.decode_cost import bench_data as measure

    with Console(stderr=True).status("measuring"):
        costs = measure(spec, image_size=image_size, count=count, repeats=repeats)
    typer.echo("from bytes to tensor  microseconds  images/s and core  times open_clip's speed")
    for cost in costs:
        typer.echo(
            f"{cost.name:20}  {cost.microseconds:12.0f}  {cost.images_per_second:17.0f}  {cost.times_open_clip:23.2f}"
        )
    if json_file:
        write_figures(json_file, costs)
