"""`pgsclip bench`: what things cost on this machine, side by side in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(help="What things cost on this machine, side by side in one run.", no_args_is_help=True)


@bench.callback()
def _root() -> None:
    """Benchmarks."""


@bench.command("step")
def step(
    model: Annotated[str, typer.Option(help="An open_clip model name.")] = "ViT-B-16",
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs per step.")] = 16,
    masker: Annotated[list[str] | None, typer.Option(help="Repeatable; none, random and pgs when not given.")] = None,
    ratio: Annotated[str, typer.Option(metavar="R|LO:HI", help="Share of patches to hide.")] = "0.5",
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; all variants take turns in each.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Seconds of one training step with each masker, beside open_clip's own step without and with patch dropout."""
    import json

    from rich.console import Console

    from pgsclip.config.ratio import Ratio
    from pgsclip.errors import ConfigError, RunError
    from pgsclip.training.bench import as_json, bench_step
    from pgsclip.training.build import open_device
    from pgsclip.training.distributed import World

    try:
        share = Ratio.parse(ratio)
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
    chosen = [(name, Ratio(0, 0) if name == "none" else share) for name in masker or ["none", "random", "pgs"]]
    console = Console()
    with console.status("building the variants") as status:
        costs = bench_step(
            model,
            chosen,
            batch_size=batch_size,
            repeats=repeats,
            device=open_device(device, World()),
            progress=status.update,
        )
    width = max(len(cost.name) for cost in costs)
    typer.echo(f"{'variant':{width}}  seconds  of open_clip's  kept")
    for cost in costs:
        typer.echo(f"{cost.name:{width}}  {cost.seconds:7.3f}  {cost.ratio:13.3f}  {cost.kept:4.0%}")
    if json_file:
        try:
            json_file.write_text(json.dumps(as_json(costs), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(f"The figures cannot be written to {json_file}: {error.strerror}.") from None
