"""`pgsclip bench masks`: what each masker keeps of objects that are known, measured without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.figures import write_figures

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.config.ratio import Ratio
    from pgsclip.mask_quality.examples import Example
    from pgsclip.masking.masker_api import MaskerHandle


def bench_masks(
    images: Annotated[
        str, typer.Option(metavar="DIR|generated", help="Images with an alpha channel or mask files, or drawn scenes.")
    ] = "generated",
    masker: Annotated[
        list[str] | None,
        typer.Option(help="Repeatable, with parameters if wanted: 'pgs edges=false'. All but none when not given."),
    ] = None,
    ratios: Annotated[str, typer.Option(metavar="R,LO:HI,…", help="Shares of patches to hide.")] = "0.3,0.5,0.7",
    count: Annotated[int, typer.Option(min=1, help="Pictures at most.")] = 200,
    image_size: Annotated[int, typer.Option(min=1, help="Side of the pictures in pixels.")] = 224,
    patch_size: Annotated[int, typer.Option(min=1, help="Side of a patch in pixels.")] = 16,
    views: Annotated[int, typer.Option(min=2, help="Masks drawn per picture.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance in the masks.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw object recall into this PNG.")] = None,
) -> None:
    """Object recall, background removed, edge energy kept, overlap of views, kept share and cost of each masker.

    **Examples**

    `pgsclip bench masks`

    `pgsclip bench masks --images photos/ --masker pgs --masker 'pgs edges=false' --ratios 0.5`
    """
    from rich.console import Console

    from pgsclip.mask_quality.comparison import as_json
    from pgsclip.mask_quality.comparison import bench_masks as measure
    from pgsclip.mask_quality.plot import plot_recall
    from pgsclip.mask_quality.table import lines, lines_by_group
    from pgsclip.masking.masker_api import parsed_masker
    from pgsclip.viz.save import save_picture

    shares = _ratios(ratios)
    handles = [parsed_masker(text) for text in masker] if masker else working_maskers(shares)
    console = Console(stderr=True)
    with console.status("reading the pictures") as status:
        examples = _examples(images, count, image_size)
        typer.echo(f"{len(examples)} pictures, {views} views each; intervals are 95 %, over pictures")
        progress = status.update if console.is_terminal else _said_once()
        rows = measure(examples, handles, shares, patch_size=patch_size, views=views, seed=seed, progress=progress)
    for line in [*lines(rows), "", *lines_by_group(rows)]:
        typer.echo(line)
    if json_file:
        about = {"images": images, "count": len(examples), "views": views, "seed": seed}
        write_figures(json_file, {**about, "rows": as_json(rows)})
    if plot_file:
        save_picture(plot_recall(rows), plot_file, "--plot", "plot")


def _examples(images: str, count: int, side: int) -> list[Example]:
    from pgsclip.mask_quality.examples import folder_examples, generated_examples

    return generated_examples(count, side) if images == "generated" else folder_examples(Path(images), count, side)


def _said_once() -> Callable[[str], None]:
    """Where no line can move: one plain line for each batch of pictures."""
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


def working_maskers(ratios: list[Ratio]) -> list[MaskerHandle]:
    """Every masker that is installed, works and takes these ratios; the others are named and left out."""
    from pgsclip import plugins
    from pgsclip.errors import PgsclipError
    from pgsclip.masking.masker_api import masker

    found = []
    for name in plugins.available(plugins.MASKERS):
        try:
            handle = masker(name)
        except PgsclipError as error:
            typer.echo(f"left out: {error}", err=True)
            continue
        if handle.hides_nothing:
            continue
        if handle.lacks:
            typer.echo(f"left out: {handle.lacks}", err=True)
            continue
        if any(ratio.is_range for ratio in ratios) and not handle.masker.chooses_ratio:
            typer.echo(f"left out: the masker {name!r} does not choose a ratio per image", err=True)
            continue
        found.append(handle)
    return found
