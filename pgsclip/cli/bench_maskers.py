"""`pgsclip bench maskers`: how long each masker takes to choose patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.completion import masker_names
from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import Device, ImageSize, JsonFile, PatchSize, Repeats

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.config.ratio import Ratio
    from pgsclip.masking.masker_api import MaskerHandle

_Masker = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Masker to time, with parameters if wanted: 'pgs landmarks=196'; repeatable. All that work if not given.",
        autocompletion=masker_names,
    ),
]


def bench_maskers(
    masker: _Masker = None,
    ratio: Annotated[float, typer.Option(min=0, max=0.999, metavar="R", help="Share of patches to hide.")] = 0.5,
    image_size: ImageSize = 224,
    patch_size: PatchSize = 16,
    width: Annotated[int, typer.Option(min=1, metavar="N", help="Width of the patch embeddings.")] = 768,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Images scored at once.")] = 16,
    repeats: Repeats = 20,
    device: Device = "auto",
    json_file: JsonFile = None,
) -> None:
    """Time the choice of patches by each masker, beside PGS written down step by step from the paper."""
    from rich.console import Console

    from pgsclip.benchmarks.masker_cost import bench_maskers as measure
    from pgsclip.config.ratio import Ratio
    from pgsclip.distributed import World
    from pgsclip.masking.masker_syntax import parse_masker
    from pgsclip.training.assemble import open_device

    handles = [parse_masker(text) for text in masker] if masker else build_working_maskers([Ratio(ratio, ratio)])
    with Console(stderr=True).status("measuring") as status:
        costs = measure(
            handles,
            image_size=image_size,
            patch_size=patch_size,
            width=width,
            batch_size=batch_size,
            ratio=ratio,
            repeats=repeats,
            device=open_device(device, World()),
            on_progress=status.update,
        )
    wide = max(len(cost.name) for cost in costs)
    typer.echo(f"{'masker':{wide}}  ms per image  of straightforward  floor ms")
    for cost in costs:
        floor = "" if cost.floor_milliseconds is None else f"{cost.floor_milliseconds:8.3f}"
        typer.echo(f"{cost.name:{wide}}  {cost.milliseconds:12.3f}  {cost.ratio:18.3f}  {floor}".rstrip())
    if json_file:
        write_figures(json_file, costs)


def build_working_maskers(ratios: list[Ratio]) -> list[MaskerHandle]:
    """Build every installed masker that hides patches and takes these ratios; name those that are left out."""
    from pgsclip import plugins
    from pgsclip.errors import PgsclipError
    from pgsclip.masking.masker_api import masker

    found = []
    for name in plugins.find(plugins.MASKERS):
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
