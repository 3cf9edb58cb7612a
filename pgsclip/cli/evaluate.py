"""`pgsclip eval`: one checkpoint on the sets of five families of tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from pgsclip.cli.figures import write_figures
from pgsclip.config.defaults import EVAL_BATCH_SIZE

if TYPE_CHECKING:
    import torch

    from pgsclip.evaluation.evaluate import EvalReport
    from pgsclip.models.source import ModelRef

evaluation = typer.Typer(help="Evaluate any CLIP checkpoint: ours, open_clip's, the authors'.", no_args_is_help=True)

Checkpoint = Annotated[
    str | None,
    typer.Argument(
        metavar="[CHECKPOINT|RUN]",
        help="Run folder, checkpoint folder, MODEL:TAG, MODEL:FILE, or an exported folder.",
    ),
]
Suite = Annotated[str, typer.Option(metavar="paper|FILE", help="Which sets; a file names one set a line.")]
Datasets = Annotated[str | None, typer.Option(metavar="A,B", help="These sets instead, such as wds/clipart.")]
EvalRoot = Annotated[Path, typer.Option(help="Where the sets lie, each as wds_NAME or NAME.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images encoded at once on one process.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Loader processes; chosen by the set when not given.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(metavar="auto|fp32|amp", help="auto: amp on a GPU, fp32 elsewhere.")]
Background = Annotated[str, typer.Option(metavar="COLOUR", help="Colour that shows where an image is see-through.")]
Out = Annotated[Path | None, typer.Option(help="Folder of results; RUN/eval or ./eval when not given.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all figures here as well.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch missing sets and weights.")]
Demo = Annotated[
    bool, typer.Option("--demo", help="Generated sets, and the untrained smoke model without a checkpoint.")
]

_HELP = {
    "zeroshot": "Classification by class names alone: 17 sets.",
    "retrieval": "Image to text and text to image: MS-COCO, Flickr8k, Flickr30k.",
    "linear-probe": "A linear layer on frozen features: CIFAR-10, CIFAR-100, ImageNet-1K.",
    "robustness": "ImageNet and five variants of it, by class names alone.",
    "compositionality": "SugarCrepe's seven parts: the right caption against one that is nearly right.",
    "all": "All five families.",
}


class _Asked(NamedTuple):
    """What was typed."""

    families: list[str]
    checkpoint: str | None
    suite: str
    datasets: str | None
    root: Path
    batch_size: int
    workers: int | None
    device: str
    precision: str
    background: str
    out: Path | None
    json_file: Path | None
    download: bool
    demo: bool
    source: ModelRef | None = None
    """What the checkpoint means, once it was looked up."""


def _command(family: str) -> Callable[..., None]:
    def command(
        checkpoint: Checkpoint = None,
        suite: Suite = "paper",
        datasets: Datasets = None,
        eval_root: EvalRoot = Path("data"),
        batch_size: BatchSize = EVAL_BATCH_SIZE,
        workers: Workers = None,
        device: Device = "auto",
        precision: Precision = "auto",
        background: Background = "white",
        out: Out = None,
        json_file: JsonFile = None,
        download: Download = False,
        demo: Demo = False,
    ) -> None:
        from pgsclip.results.suites import FAMILIES

        families = list(FAMILIES) if family == "all" else [family]
        _run(
            _Asked(
                families, checkpoint, suite, datasets, eval_root, batch_size, workers, device, precision, background,
                out, json_file, download, demo,
            )
        )  # fmt: skip

    command.__doc__ = _HELP[family]
    return command


for _family in _HELP:
    evaluation.command(_family)(_command(_family))


def _run(asked: _Asked) -> None:
    from pgsclip.distributed import explain_lost_peers, joined
    from pgsclip.evaluation.evaluate import nothing_done
    from pgsclip.launchers import read_world
    from pgsclip.training.assemble import open_device

    asked = _checked(asked)
    world = read_world()
    device = open_device(asked.device, world)
    if asked.precision == "auto":
        asked = asked._replace(precision="amp" if device.type == "cuda" else "fp32")
    with joined(world, device), explain_lost_peers("then start the same command again"):
        report = _evaluated(asked, device, world.leads)
    if not world.leads:
        return
    error = nothing_done(report)
    if error is not None:
        raise error
    assert asked.out is not None
    _finish(report, asked.root, asked.out, asked.json_file)


def _checked(asked: _Asked) -> _Asked:
    """The same with the folder of results, and with the demo's sets where they are wanted."""
    from pgsclip.errors import ConfigError
    from pgsclip.models.source import find_source

    if asked.checkpoint is None and not asked.demo:
        raise ConfigError(
            "There is no checkpoint to evaluate. Give a run folder, MODEL:TAG, MODEL:FILE or local-dir:FOLDER; "
            "--demo evaluates the untrained smoke model on generated sets."
        )
    if asked.precision not in ("auto", "fp32", "amp"):
        raise ConfigError(f"--precision {asked.precision!r} is not one of auto, fp32 and amp.")
    source = find_source(asked.checkpoint) if asked.checkpoint else None
    out = asked.out or ((source and source.run) or Path()) / "eval"
    asked = asked._replace(out=out, source=source)
    return asked._replace(suite="demo", root=out / "demo-sets") if asked.demo else asked


def _evaluated(asked: _Asked, device: torch.device, leads: bool) -> EvalReport:
    """Sets made or fetched, model loaded, jobs done: on all ranks together."""
    import shlex
    import sys

    from rich.console import Console

    from pgsclip.distributed import barrier, fail_together
    from pgsclip.evaluation.demo import MODEL, write_demo_sets
    from pgsclip.evaluation.evaluate import EvalOptions, evaluate
    from pgsclip.evaluation.layouts import find_jobs
    from pgsclip.evaluation.loaded_model import load_model, load_untrained

    if asked.demo:
        fail_together(lambda: write_demo_sets(asked.root) if leads else None)
    jobs = find_jobs(asked.families, asked.suite, (asked.datasets or "").split(","), asked.root)
    if asked.download:
        from pgsclip.evaluation.download import fetch

        fail_together(lambda: fetch(jobs, asked.root, typer.echo) if leads else None)
    if asked.source is None:
        model = load_untrained(MODEL, device)
    else:
        if asked.source.finding and leads:
            typer.echo(asked.source.finding, err=True)
        model = load_model(asked.source, device, download=asked.download, precision=asked.precision)
    command = shlex.join(["pgsclip", *sys.argv[1:]])
    options = EvalOptions(
        asked.root, asked.out, asked.batch_size, asked.workers, asked.precision, asked.background, command=command
    )
    console = Console(stderr=True)
    with console.status("reading") if leads and console.is_terminal else _Silence() as status:
        report = evaluate(
            model, jobs, options, typer.echo, lambda name, done: status.update(f"{name}: {done:,} images")
        )
    barrier()
    return report


def _finish(report: EvalReport, root: Path, out: Path, json_file: Path | None) -> None:
    from pgsclip.results.averages import compute_averages

    for name, value in compute_averages(report.results).items():
        typer.echo(f"{name}: {value:.1%}")
    if report.skipped:
        typer.echo(f"{report.skipped} of {len(report.results)} results were there already and were not computed again.")
    if report.missing:
        typer.echo(
            f"{len(report.missing)} sets were left out; "
            f"`pgsclip data eval-sets --eval-root {root}` says how to get them.",
            err=True,
        )
    typer.echo(f"Results: {out}")
    if json_file:
        write_figures(json_file, [result.model_dump(exclude={"outcomes"}) for result in report.results])


class _Silence:
    """A status line that nobody sees."""

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, _: str) -> None:
        pass
