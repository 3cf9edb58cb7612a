"""`pgsclip data`: build, inspect and check training data; list evaluation sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.data_check import check
from pgsclip.cli.data_make import clipart, make
from pgsclip.cli.data_preview import preview
from pgsclip.cli.options import EvalRoot

data = typer.Typer(help="Build, inspect and check training data.", no_args_is_help=True)


data.command("check")(check)
data.command("make")(make)
data.command("preview")(preview)
data.command("clipart")(clipart)


@data.command("index")
def index(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Shards, as for `train --data`.")],
) -> None:
    """Count the pairs of shards once, and write the counts to `sizes.json` beside them.

    Training reads that file, and so does OpenCLIP's. Shards that change later are counted again.
    """
    from pgsclip.cli.waiting import show_late_bar
    from pgsclip.data.index import write_index
    from pgsclip.data.spec import shard_urls
    from pgsclip.errors import DataError

    urls = shard_urls(spec)
    if not urls:
        raise DataError(f"The data {spec!r} is not in shards, so its pairs need no counting. Train on it as it is.")
    with show_late_bar("counting") as progress:
        found = write_index(urls, progress)
    typer.echo(f"{found.pairs:,} pairs in {found.shards:,} shard{'s' * (found.shards != 1)}")
    for file in found.files:
        typer.echo(f"written to {file}")
    if not found.files:
        typer.echo(f"These shards are not files on this machine. Train with --set data.samples={found.pairs}")


@data.command("eval-sets")
def eval_sets(
    eval_root: EvalRoot = Path("data"),
) -> None:
    """List evaluation sets: those in the folder with their sizes, the missing ones with where to get them."""
    from pgsclip.evaluation.layouts import HOW_TO_GET, family_of
    from pgsclip.results.suites import FAMILIES, PAPER, to_canonical

    sets = {family: list(PAPER[family]) for family in FAMILIES}
    known = {name for names in sets.values() for name in names}
    for folder in sorted(eval_root.glob("wds_*")) if eval_root.is_dir() else []:
        name = to_canonical(folder.name.removeprefix("wds_"))
        if name not in known:
            sets[family_of(name, eval_root)].append(name)
    width = max(len(name) for names in sets.values() for name in names)
    missing = 0
    for family, names in sets.items():
        typer.echo(f"{family}")
        for name in names:
            line, found = _describe_set(family, name, eval_root)
            typer.echo(f"  {name:{width}}  {line}")
            missing += not found
    if missing:
        typer.echo(f"\n{missing} are missing in {eval_root}. {HOW_TO_GET}")


def _describe_set(family: str, name: str, eval_root: Path) -> tuple[str, bool]:
    """Say what is known of an evaluation set, and whether it can be used."""
    from pgsclip.evaluation.layouts import MissingSetError, locate, places, source_of
    from pgsclip.results.suites import Job

    try:
        found = locate(Job(family, name), eval_root)
    except MissingSetError as error:
        there = any(folder.is_dir() for folder in places(name, eval_root))
        return (str(error) if there else f"missing       {source_of(name)}"), False
    splits = " and ".join(found.splits)
    shards = f", {found.shards} test shard{'s' * (found.shards != 1)}" if found.shards else ""
    return f"{found.bytes / 2**20:8.1f} MiB  {splits}{shards}  {found.folder}", True
