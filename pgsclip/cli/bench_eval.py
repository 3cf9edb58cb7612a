"""`pgsclip bench eval`: how long a zero-shot evaluation takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import WEIGHTS, EvalRoot, JsonFile, Repeats
from pgsclip.config.defaults import EVAL_BATCH_SIZE

_Checkpoint = Annotated[
    str | None, typer.Argument(metavar="CHECKPOINT|RUN", help=f"{WEIGHTS} The untrained smoke model if not given.")
]


def bench_eval(
    checkpoint: _Checkpoint = None,
    dataset: Annotated[
        str, typer.Option(metavar="wds/NAME|generated", help="Zero-shot set in clip-benchmark's layout.")
    ] = "generated",
    eval_root: EvalRoot = Path("data"),
    images: Annotated[int, typer.Option(min=1, metavar="N", help="Images in the generated set.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Images encoded at once.")] = EVAL_BATCH_SIZE,
    repeats: Repeats = 3,
    json_file: JsonFile = None,
) -> None:
    """Time a whole zero-shot evaluation, beside the same with `clip_benchmark eval`."""
    import tempfile

    from rich.console import Console

    from pgsclip.benchmarks.eval_cost import bench_eval as measure
    from pgsclip.evaluation.demo import MODEL, write_class_set
    from pgsclip.export.formats import find_format
    from pgsclip.models.opening import open_model, open_untrained
    from pgsclip.models.source import find_source

    with tempfile.TemporaryDirectory() as place, Console(stderr=True).status("preparing") as status:
        model = Path(place, "model")
        model.mkdir()
        opened = open_untrained(MODEL) if checkpoint is None else open_model(find_source(checkpoint))
        if opened.source.finding:
            typer.echo(opened.source.finding, err=True)
        find_format("open_clip").load()[0](opened, model)
        if dataset == "generated":
            dataset, eval_root = "wds/generated", Path(place)
            write_class_set(eval_root / "wds_generated", images)
        costs = measure(model, dataset, eval_root, batch_size=batch_size, repeats=repeats, on_progress=status.update)
    typer.echo("command              seconds  of clip_benchmark's  processor seconds  of clip_benchmark's")
    for cost in costs:
        typer.echo(
            f"{cost.name:19}  {cost.seconds:7.1f}  {cost.ratio:19.3f}  {cost.cpu_seconds:17.1f}  {cost.cpu_ratio:19.3f}"
        )
    if json_file:
        write_figures(json_file, costs)
