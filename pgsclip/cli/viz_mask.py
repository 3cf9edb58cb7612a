"""`pgsclip viz-mask`: a picture of what each masker keeps."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.viz.explain import Column

_DEFAULT = (("random", "0.5"), ("cluster", "0.5"), ("pgs", "0.5"), ("pgs", "0.3:0.5"))


def viz_mask(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    masker: Annotated[list[str] | None, typer.Option(help="Repeatable; random, cluster, pgs when not given.")] = None,
    ratio: Annotated[
        list[str] | None, typer.Option(metavar="R|LO:HI", help="One for all maskers, or one for each in turn.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("masks.png"),
    image_size: Annotated[int, typer.Option(min=1, help="Shorter side in pixels that the masker sees.")] = 224,
    patch_size: Annotated[int, typer.Option(min=1, help="Side of a patch in pixels.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance in the masks.")] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Also what led pgs there: edges, candidates.")] = False,
) -> None:
    """Draw a sheet: each image, and what each masker keeps of it; hidden patches are grey.

    **Examples**

    `pgsclip viz-mask photo.jpg`

    `pgsclip viz-mask a.jpg b.jpg --masker pgs --ratio 0.3:0.5 --masker random --ratio 0.5 --explain`
    """
    from rich.console import Console

    from pgsclip.errors import ImageError
    from pgsclip.viz.explain import row_of_panels
    from pgsclip.viz.pictures import open_picture
    from pgsclip.viz.preview import show
    from pgsclip.viz.sheet import compose

    if out.resolve() in {path.resolve() for path in images}:
        raise ImageError(f"The sheet would overwrite the image {out}. Give another --out.")
    columns = _columns(masker, ratio)
    pictures = [open_picture(path, image_size, patch_size) for path in images]
    sheet = compose([row_of_panels(picture, columns, seed=seed, explain=explain) for picture in pictures])
    try:
        sheet.save(out, format="PNG")
    except OSError as error:
        raise ImageError(
            f"The sheet cannot be written to {out}: {error.strerror or error}. Give another --out."
        ) from None
    show(sheet, Console())
    typer.echo(f"{out}  ({sheet.width} x {sheet.height} pixels)")


def _columns(maskers: list[str] | None, ratios: list[str] | None) -> list[Column]:
    from pgsclip.config.ratio import Ratio
    from pgsclip.errors import ConfigError
    from pgsclip.masking.handle import masker
    from pgsclip.viz.explain import Column

    pairs: list[tuple[str, str]] = list(_DEFAULT)
    if maskers or ratios:
        names, shares = maskers or ["random", "cluster", "pgs"], ratios or ["0.5"]
        if len(shares) not in (1, len(names)):
            raise ConfigError(
                f"{len(shares)} ratios do not pair up with {len(names)} maskers: "
                f"give one --ratio for all, or one after each --masker."
            )
        pairs = list(zip_longest(names, shares, fillvalue=shares[0]))
    try:
        return [
            Column(masker(name), Ratio(0.0, 0.0) if name == "none" else Ratio.parse(share)) for name, share in pairs
        ]
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
