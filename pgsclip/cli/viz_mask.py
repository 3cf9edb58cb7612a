"""`pgsclip viz-mask`: a picture of what each masker keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.mask_columns import pair_maskers
from pgsclip.cli.viz_mask_options import (
    Background,
    Checkpoint,
    Explain,
    ImageSize,
    Masker,
    Model,
    Out,
    OverProgress,
    PatchSize,
    Progress,
    Ratio,
    Seed,
    Seeds,
)
from pgsclip.config.defaults import BACKGROUND

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.viz.explain import MaskerColumn
    from pgsclip.viz.pictures import Picture
    from pgsclip.viz.sheet import Panel

_MOVING = ".gif"


def viz_mask(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.", show_default=False)],
    masker: Masker = None,
    ratio: Ratio = None,
    seed: Seed = 0,
    progress: Progress = 0.0,
    out: Out = Path("masks.png"),
    image_size: ImageSize = None,
    patch_size: PatchSize = None,
    background: Background = BACKGROUND,
    explain: Explain = False,
    seeds: Seeds = None,
    over_progress: OverProgress = False,
    checkpoint: Checkpoint = None,
    model: Model = None,
) -> None:
    """Draw each image beside what each masker keeps of it; hidden patches are grey.

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
    columns = pair_maskers(masker, ratio)
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
    """Refuse options that do not go together, before anything is drawn."""
    from pgsclip.errors import ConfigError, ImageError

    if out.resolve() in {path.resolve() for path in images}:
        raise ImageError(f"The sheet would overwrite the image {out}. Give another --out.")
    if sum((explain, seeds is not None, over_progress)) > 1:
        raise ConfigError("--explain, --seeds and --over-progress draw different sheets. Give one of them.")
    if out.suffix.lower() == _MOVING and not over_progress:
        raise ConfigError(f"A .gif is written only with --over-progress. Give a .png instead of {out}.")


def _rows(
    columns: list[MaskerColumn], seed: int, progress: float, *, explain: bool, seeds: int | None, over_progress: bool
) -> Callable[[Picture], list[list[Panel]]]:
    """Return the function that draws the rows of one picture."""
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
    """Open the images as the maskers see them; maskers with a model of their own get the checkpoint."""
    from pgsclip.errors import ConfigError
    from pgsclip.viz.pictures import open_picture

    if checkpoint is None:
        if model is not None:
            raise ConfigError(
                "--model names the architecture of a --checkpoint. Give a checkpoint, or leave --model out."
            )
        return [open_picture(path, size or 224, patch or 16, background=background) for path in paths]
    if size is not None or patch is not None:
        raise ConfigError("A --checkpoint has its own image and patch size. Leave --image-size and --patch-size out.")
    from pgsclip.viz.embeddings import open_embedder

    embedder = open_embedder(checkpoint, model)
    if embedder.finding:
        typer.echo(embedder.finding, err=True)
    for column in columns:
        embedder.start(column.masker)
    return [embedder.open(path, background) for path in paths]
