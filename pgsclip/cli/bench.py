"""`pgsclip bench`: one file per benchmark, named after its command."""

from __future__ import annotations

import typer

from pgsclip.cli.bench_data import bench_data
from pgsclip.cli.bench_eval import bench_eval
from pgsclip.cli.bench_loss import bench_loss
from pgsclip.cli.bench_maskers import bench_maskers
from pgsclip.cli.bench_masks import bench_masks
from pgsclip.cli.bench_step import bench_step

bench = typer.Typer(help="Benchmarks on this machine.", no_args_is_help=True)
bench.command("masks")(bench_masks)
bench.command("step")(bench_step)
bench.command("maskers")(bench_maskers)
bench.command("loss")(bench_loss)
bench.command("data")(bench_data)
bench.command("eval")(bench_eval)
