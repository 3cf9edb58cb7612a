"""The command line: names and help. Each command imports what it needs when it runs, so that --help is instant."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pgsclip.cli.arguments import refuse_swallowed_options, replace_old_options, spell_out_resume
from pgsclip.cli.bench import bench
from pgsclip.cli.config import config
from pgsclip.cli.data import data
from pgsclip.cli.evaluate import evaluation
from pgsclip.cli.export import export, push
from pgsclip.cli.init import init
from pgsclip.cli.listings import maskers, recipes
from pgsclip.cli.plugins import plugins
from pgsclip.cli.report import compare, report
from pgsclip.cli.status import status
from pgsclip.cli.train import train
from pgsclip.cli.viz_mask import viz_mask
from pgsclip.cli.watch import watch
from pgsclip.errors import PgsclipError, UnfinishedError
from pgsclip.version import __version__

_INTERRUPTED = 130
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}

app = typer.Typer(
    name="pgsclip",
    help="Train CLIP models on the patches that matter, and see what each masker keeps.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_TRAIN, _LOOK, _RESULTS, _DATA = "Train", "Look", "Evaluate and export", "Data"
app.command("train", rich_help_panel=_TRAIN)(train)
app.command("init", rich_help_panel=_TRAIN)(init)
app.add_typer(recipes, name="recipes", rich_help_panel=_TRAIN)
app.add_typer(config, name="config", rich_help_panel=_TRAIN)
app.command("watch", rich_help_panel=_LOOK)(watch)
app.command("status", rich_help_panel=_LOOK)(status)
app.command("viz-mask", rich_help_panel=_LOOK)(viz_mask)
app.command("report", rich_help_panel=_LOOK)(report)
app.command("compare", rich_help_panel=_LOOK)(compare)
app.command("maskers", rich_help_panel=_LOOK)(maskers)
app.add_typer(plugins, name="plugins", rich_help_panel=_LOOK)
app.add_typer(bench, name="bench", rich_help_panel=_LOOK)
app.add_typer(evaluation, name="eval", rich_help_panel=_RESULTS)
app.command("export", rich_help_panel=_RESULTS)(export)
app.command("push", rich_help_panel=_RESULTS)(push)
app.add_typer(data, name="data", rich_help_panel=_DATA)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"pgsclip {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def _say(line: str) -> None:
    typer.echo(f"pgsclip: {line}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; mistakes of the user end in one sentence on stderr and exit code 2."""
    # Training threads that wait would spin on cores that the loader processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = typer.main.get_command(app)  # built once: it reads the annotations of every command
        words = replace_old_options(spell_out_resume(given), command, _say)
        refuse_swallowed_options(words, command)
        command(args=words, prog_name="pgsclip")
    except UnfinishedError as error:
        sys.stderr.write(f"pgsclip: {error}\n")
        # torchrun starts again what does not end with 0, and so would undo the stop; `pgsclip status` still knows.
        raise SystemExit(0 if "TORCHELASTIC_RUN_ID" in os.environ else error.exit_code) from None
    except PgsclipError as error:
        sys.stderr.write(f"pgsclip: {error}\n")
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if error.errno not in _DISK:
            raise
        sys.stderr.write(
            f"pgsclip: {error.strerror}{f': {error.filename}' if error.filename else ''}. Make room there or give "
            f"another folder; a run goes on from its last checkpoint with --resume.\n"
        )
        raise SystemExit(PgsclipError.exit_code) from None
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:  # Typer turns Ctrl-C into this code and says nothing
            sys.stderr.write("pgsclip: stopped by the keyboard.\n")
        raise
