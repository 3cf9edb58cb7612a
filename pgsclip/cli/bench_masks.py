"""`pgsclip bench masks`: what each masker keeps of objects that are known, measured without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.bench_maskers import build_working_maskers
from pgsclip.cli.completion import masker_names
from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import ImageSize, JsonFile, PatchSize, Seed

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.config.ratio import Ratio
    from pgsclip.mask_quality.examples import Example

_Masker = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Masker to measure, with parameters if wanted: 'pgs edges=false'; repeatable. All that work if not given.",
        autocompletion=masker_names,
    ),
]


def bench_masks(
    masker: _Masker = None,
    ratios: Annotated[str, typer.Option(metavar="R,LO:HI,…", help="Shares of patches to hide.")] = "0.3,0.5,0.7",
    images: Annotated[
        str,
        typer.Option(
            metavar="DIR|generated", help="Folder of images with an alpha channel or mask files, or drawn scenes."
        ),
    ] = "generated",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Images at most.")] = 200,
    image_size: ImageSize = 224,
    patch_size: PatchSize = 16,
    views: Annotated[int, typer.Option(min=2, metavar="N", help="Masks drawn per image.")] = 2,
    seed: Seed = 0,
    json_file: JsonFile = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="PNG to draw the object recall into.")
    ] = None,
) -> None:
    """Measure what each masker keeps of images whose objects are known, and what it costs.

    The table has object recall, background removed, edge energy kept, overlap of the masks of one image, share of
    patches kept and milliseconds per image.

    **Examples**

    `pgsclip bench masks`

    `pgsclip bench masks --images photos/ --masker pgs --masker 'pgs edges=false' --ratios 0.5`
    """
    from rich.console import Console

    from pgsclip.mask_quality.comparison import compare_maskers, to_json
    from pgsclip.mask_quality.plot import plot_recall
    from pgsclip.mask_quality.table import write_lines, write_lines_by_group
    from pgsclip.masking.masker_syntax import parse_masker
    from pgsclip.viz.save import save_picture

    shares = _ratios(ratios)
    handles = [parse_masker(text) for text in masker] if masker else build_working_maskers(shares)
    console = Console(stderr=True)
    with console.status("reading the pictures") as status:
        examples = _examples(images, count, image_size)
        typer.echo(f"{len(examples)} pictures, {views} views each; intervals are 95 %, over pictures")
        progress = status.update if console.is_terminal else _said_once()
        rows = compare_maskers(
            examples, handles, shares, patch_size=patch_size, views=views, seed=seed, on_progress=progress
        )
    for line in [*write_lines(rows), "", *write_lines_by_group(rows)]:
        typer.echo(line)
    if json_file:
        about = {"images": images, "count": len(examples), "views": views, "seed": seed}
        write_figures(json_file, {**about, "rows": to_json(rows)})
    if plot_file:
        save_picture(plot_recall(rows), plot_file, "--plot", "plot")


def _examples(images: str, count: int, side: int) -> list[Example]:
    from pgsclip.mask_quality.examples import draw_examples, read_examples

    return draw_examples(count, side) if images == "generated" else read_examples(Path(images), count, side)


def _said_once() -> Callable[[str], None]:
    """Print one plain line for each batch of images, for a terminal whose lines cannot move."""
    told: set[str] = set()

    def say(where: str) -> None:
        batch = where.partition(":")[0]
        if batch not in told:
            told.add(batch)
            typer.echo(batch, err=True)

    return say


def _ratios(given: str) -> list[Ratio]:
    from pgsclip.config.ratio import Ratio
    from pgsclip.errors import ConfigError

    try:
        return [Ratio.parse(part.strip()) for part in given.split(",")]
    except ValueError as error:
        raise ConfigError(f"--ratios: {error}.") from None
