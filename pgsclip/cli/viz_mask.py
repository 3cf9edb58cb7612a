"""`pgsclip viz-mask`: a picture of what each masker keeps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.completion import masker_names

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.viz.explain import MaskerColumn
    from pgsclip.viz.pictures import Picture
    from pgsclip.viz.sheet import Panel

_MOVING = ".gif"
_DEFAULT = (("random", "0.5"), ("cluster", "0.5"), ("pgs", "0.5"), ("pgs", "0.3:0.5"), ("salient", "0.5"))


def viz_mask(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    masker: Annotated[
        list[str] | None,
        typer.Option(
            help="Repeatable; with parameters: 'pgs edges=false'. random, cluster, pgs, salient if not given.",
            autocompletion=masker_names,
        ),
    ] = None,
    ratio: Annotated[
        list[str] | None, typer.Option(metavar="R|LO:HI", help="One for all maskers, or one for each in turn.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The PNG to write; a .gif with --over-progress.")] = Path("masks.png"),
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Shorter side in pixels that the masker sees; 224, or the checkpoint's.")
    ] = None,
    patch_size: Annotated[
        int | None, typer.Option(min=1, help="Side of a patch in pixels; 16, or the checkpoint's.")
    ] = None,
    background: Annotated[
        str, typer.Option(metavar="COLOUR", help="Colour that shows where an image is see-through.")
    ] = "white",
    seed: Annotated[int, typer.Option(min=0, help="Of all chance in the masks.")] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Also what led pgs and salient there.")] = False,
    seeds: Annotated[
        int | None, typer.Option(min=2, help="A heat map instead: how often each patch survives in so many views.")
    ] = None,
    over_progress: Annotated[
        bool, typer.Option("--over-progress", help="A strip, or a GIF, of the masks from progress 0 to 1.")
    ] = False,
    progress: Annotated[float, typer.Option(min=0, max=1, help="Share of the training run that is done.")] = 0.0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Run folder or weights whose embeddings the maskers see.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Architecture of --checkpoint; a run folder knows it.", show_default=False)
    ] = None,
) -> None:
    """Draw a sheet: each image, and what each masker keeps of it; hidden patches are grey.

    **Examples**

    `pgsclip viz-mask photo.jpg`

    `pgsclip viz-mask a.jpg b.jpg --masker pgs --ratio 0.3:0.5 --masker random --ratio 0.5 --explain`

    `pgsclip viz-mask a.jpg --seeds 50`

    `pgsclip viz-mask a.jpg --checkpoint runs/smoke-pgs-0.5 --over-progress --out masks.gif`
    """
    from rich.console import Console

    from pgsclip.viz.over_progress import draw_frames
    from pgsclip.viz.save import save_picture
    from pgsclip.viz.sheet import compose, enlarge
    from pgsclip.viz.terminal_image import print_image

    _check(images, out, explain=explain, seeds=seeds, over_progress=over_progress)
    columns = columns_of(masker, ratio)
    pictures = _pictures(images, image_size, patch_size, checkpoint, model, columns, background)
    if over_progress and checkpoint is None:
        typer.echo("without --checkpoint raw pixels stand in for embeddings, so masks hardly change", err=True)
    with Console(stderr=True).status("drawing"):
        if out.suffix.lower() == _MOVING:
            sheet, *others = draw_frames(pictures, columns, seed=seed)
            save_picture(sheet, out, format="GIF", save_all=True, append_images=others, duration=150, loop=0)
        else:
            draw = _rows(columns, seed, progress, explain=explain, seeds=seeds, over_progress=over_progress)
            rows = [row for picture in pictures for row in draw(picture)]
            sheet = compose(enlarge(rows) if checkpoint else rows)
            save_picture(sheet, out)
    print_image(sheet, Console())
    typer.echo(f"{out}  ({sheet.width} x {sheet.height} pixels)")


def _check(images: list[Path], out: Path, *, explain: bool, seeds: int | None, over_progress: bool) -> None:
    """Whether the options go together, before anything is drawn."""
    from pgsclip.errors import ConfigError, ImageError

    if out.resolve() in {path.resolve() for path in images}:
        raise ImageError(f"The sheet would overwrite the image {out}. Give another --out.")
    if sum((explain, seeds is not None, over_progress)) > 1:
        raise ConfigError("--explain, --seeds and --over-progress draw different sheets; give one of them.")
    if out.suffix.lower() == _MOVING and not over_progress:
        raise ConfigError(f"Only --over-progress moves; give a .png for {out}.")


def _rows(
    columns: list[MaskerColumn], seed: int, progress: float, *, explain: bool, seeds: int | None, over_progress: bool
) -> Callable[[Picture], list[list[Panel]]]:
    """What draws the rows of a sheet that belong to one picture."""
    from pgsclip.viz.explain import draw_row
    from pgsclip.viz.keep_frequency import draw_keep_frequency
    from pgsclip.viz.over_progress import draw_strips

    if over_progress:
        return lambda picture: draw_strips(picture, columns, seed=seed)
    if seeds is not None:
        return lambda picture: [draw_keep_frequency(picture, columns, seeds=seeds, seed=seed, progress=progress)]
    return lambda picture: [draw_row(picture, columns, explain=explain, seed=seed, progress=progress)]


def _pictures(
    paths: list[Path],
    size: int | None,
    patch: int | None,
    checkpoint: Path | None,
    model: str | None,
    columns: list[MaskerColumn],
    background: str,
) -> list[Picture]:
    """The images as the maskers see them; with a checkpoint, maskers that look with a model of their own get it."""
    from pgsclip.errors import ConfigError
    from pgsclip.viz.pictures import open_picture

    if checkpoint is None:
        if model is not None:
            raise ConfigError("--model names the architecture of a --checkpoint; give one, or leave --model out.")
        return [open_picture(path, size or 224, patch or 16, background=background) for path in paths]
    if size is not None or patch is not None:
        raise ConfigError(
            "A --checkpoint brings its own image and patch size; leave --image-size and --patch-size out."
        )
    from pgsclip.viz.embeddings import open_embedder

    embedder = open_embedder(checkpoint, model)
    if embedder.finding:
        typer.echo(embedder.finding, err=True)
    for column in columns:
        embedder.start(column.masker)
    return [embedder.open(path, background) for path in paths]


def columns_of(maskers: list[str] | None, ratios: list[str] | None) -> list[MaskerColumn]:
    """The columns that `--masker` and `--ratio` ask for; the usual ones where neither is given.

    Raises:
        ConfigError: they do not pair up, or a ratio is none.
    """
    from pgsclip.config.ratio import Ratio
    from pgsclip.errors import ConfigError
    from pgsclip.masking.masker_api import parsed_masker
    from pgsclip.viz.explain import MaskerColumn

    pairs: list[tuple[str, str]] = list(_DEFAULT)
    if maskers or ratios:
        names, shares = maskers or ["random", "cluster", "pgs", "salient"], ratios or ["0.5"]
        if len(shares) not in (1, len(names)):
            raise ConfigError(
                f"{len(shares)} ratios do not pair up with {len(names)} maskers: "
                f"give one --ratio for all, or one after each --masker."
            )
        pairs = list(zip_longest(names, shares, fillvalue=shares[0]))
    try:
        asked = [(parsed_masker(name), Ratio.parse(share)) for name, share in pairs]
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
    return [MaskerColumn(handle, handle.share(ratio)) for handle, ratio in asked]
