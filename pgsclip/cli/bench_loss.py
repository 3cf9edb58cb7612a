"""`pgsclip bench loss`: time and memory of the contrastive losses."""

from __future__ import annotations

from typing import Annotated

import typer

from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import JsonFile
from pgsclip.config.defaults import LOGITS_PER_CHUNK


def bench_loss(
    batch: Annotated[
        list[int] | None,
        typer.Option(min=2, metavar="N", help="Pairs in the batch; repeatable. 4096 to 32768 if not given."),
    ] = None,
    width: Annotated[int, typer.Option(min=1, metavar="N", help="Width of the features.")] = 512,
    logits_per_chunk: Annotated[
        int, typer.Option(min=1, metavar="N", help="Logits held in memory at once.")
    ] = LOGITS_PER_CHUNK,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Processes per figure; the median counts.")] = 3,
    json_file: JsonFile = None,
) -> None:
    """Measure time and peak memory of the chunked contrastive losses, beside open_clip's."""
    import torch
    from rich.console import Console

    from pgsclip.benchmarks.loss_cost import bench_loss as measure
    from pgsclip.models.device_speed import matrix_rate

    costs = []
    rate = matrix_rate(torch.device("cpu"), torch.float32)
    typer.echo("loss     batch   seconds  of open_clip's   peak MiB  of open_clip's  of its products")
    with Console(stderr=True).status("measuring"):
        batches = batch or [4096, 8192, 16384, 32768]
        for cost in measure(batches, width=width, logits_per_chunk=logits_per_chunk, repeats=repeats):
            costs.append(cost)
            typer.echo(
                f"{cost.loss:6}  {cost.batch:6}  {cost.seconds:8.2f}  {_ratio(cost.seconds, cost.open_clip_seconds)}"
                f"  {cost.peak_mib:9.0f}  {_ratio(cost.peak_mib, cost.open_clip_peak_mib)}"
                f"  {(cost.seconds or 0.0) * rate / cost.products:15.1f}"
            )
    if json_file:
        write_figures(json_file, costs)


def _ratio(ours: float | None, theirs: float | None) -> str:
    if ours is None or theirs is None:
        return "  does not fit"
    return f"{ours / max(theirs, 1e-9):14.3f}"
