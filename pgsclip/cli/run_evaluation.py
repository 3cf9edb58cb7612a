"""From the options of `pgsclip eval` to results: weights found, sets opened, averages printed."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from pgsclip.cli.figures import write_figures

if TYPE_CHECKING:  # torch stays out of --help
    import torch

    from pgsclip.evaluation.evaluate import EvalReport
    from pgsclip.models.source import ModelRef


class EvalRequest(NamedTuple):
    """The options of `pgsclip eval`."""

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
    """The weights that `checkpoint` names; None before they are looked up, and for the untrained model."""


def run_evaluation(asked: EvalRequest) -> None:
    """Evaluate on all processes of the launcher, then print the averages.

    Raises:
        PgsclipError: there is no such checkpoint, or not one set could be evaluated.
    """
    from pgsclip.evaluation.evaluate import require_results
    from pgsclip.launchers import read_world
    from pgsclip.process_group import explain_lost_peers, joined
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
    require_results(report)
    assert asked.out is not None
    _finish(report, asked.root, asked.out, asked.json_file)


def _checked(asked: EvalRequest) -> EvalRequest:
    """Check the options, find the weights, and fill in where results and the sets of the demo lie."""
    from pgsclip.errors import ConfigError
    from pgsclip.models.source import find_source

    if asked.checkpoint is None and not asked.demo:
        raise ConfigError(
            "There is no checkpoint to evaluate. Give a run folder, MODEL:TAG, MODEL:FILE or local-dir:FOLDER; or let "
            "--demo evaluate the untrained smoke model on generated sets."
        )
    if asked.precision not in ("auto", "fp32", "amp"):
        raise ConfigError(f"--precision {asked.precision!r} is not one of auto, fp32 and amp.")
    source = find_source(asked.checkpoint) if asked.checkpoint else None
    out = asked.out or ((source and source.run) or Path()) / "eval"
    asked = asked._replace(out=out, source=source)
    return asked._replace(suite="demo", root=out / "demo-sets") if asked.demo else asked


def _evaluated(asked: EvalRequest, device: torch.device, leads: bool) -> EvalReport:
    """Make or fetch the sets, load the model and do all jobs, on all ranks together."""
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
    status = Console(stderr=True).status("reading")
    with status if leads and status.console.is_terminal else nullcontext():
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
