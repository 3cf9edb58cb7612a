"""`pgsclip export` and `pgsclip push`: a checkpoint for other libraries, in a folder or on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.options import WEIGHTS

_Checkpoint = Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help=WEIGHTS)]
_Download = Annotated[bool, typer.Option("--download", help="Fetch pretrained weights that are not in the cache.")]


def export(
    checkpoint: _Checkpoint,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="Format: open_clip, transformers, safetensors or onnx.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder to write; RUN/export/FORMAT if not given.")
    ] = None,
    download: _Download = False,
) -> None:
    """Write a checkpoint as a folder that another library loads, with a model card.

    The folder is kept only if that library loads it and computes the same embeddings. Nothing is fetched without
    --download.
    """
    from pgsclip.export.export import export as write

    done = write(checkpoint, to, out, download=download, on_message=_warn)
    typer.echo(f"Exported to {done.folder}: {done.parity.describe()}.")
    typer.echo(f"{done.folder / 'README.md'} is its model card and says how to load it.")


def push(
    checkpoint: _Checkpoint,
    repository: Annotated[
        str, typer.Argument(metavar="USER/NAME", help="Repository on huggingface.co; created if it does not exist.")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Make a newly created repository public (default: private).")
    ] = False,
) -> None:
    """Upload a checkpoint to the Hugging Face hub, where open_clip loads it as `hf-hub:USER/NAME`.

    You must be logged in: `hf auth login`, or HF_TOKEN in the environment.
    """
    from pgsclip.export.push import push as upload

    typer.echo(f"Pushed to {upload(checkpoint, repository, public=public, on_message=_warn)}.")


def _warn(message: str) -> None:
    typer.echo(message, err=True)
