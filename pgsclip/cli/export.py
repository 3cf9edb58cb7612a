"""`pgsclip export` and `pgsclip push`: a checkpoint for other libraries, in a folder or on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[
    str,
    typer.Argument(metavar="RUN|CHECKPOINT", help="Run folder, checkpoint folder, MODEL:TAG, MODEL:FILE or a folder."),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch pretrained weights that are not in the cache.")]


def export(
    checkpoint: Checkpoint,
    to: Annotated[str, typer.Option(metavar="open_clip|transformers|safetensors|onnx", help="For which library.")],
    out: Annotated[Path | None, typer.Option(help="A new folder; RUN/export/FORMAT when not given.")] = None,
    download: Download = False,
) -> None:
    """Write a checkpoint as a folder that another library loads, with a model card. Offline.

    The folder is there only when that library, reading it back, computes the same embeddings.
    """
    from pgsclip.export.export import export as write

    done = write(checkpoint, to, out, download=download, on_message=_warn)
    typer.echo(f"Exported to {done.folder}: {done.parity.sentence()}.")
    typer.echo(f"{done.folder / 'README.md'} is its model card and says how to load it.")


def push(
    checkpoint: Checkpoint,
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="On huggingface.co; made when not there.")],
    public: Annotated[bool, typer.Option("--public", help="For everybody to see; a new one is private else.")] = False,
) -> None:
    """Put a checkpoint on the Hugging Face hub, where open_clip loads it as `hf-hub:USER/NAME`. Needs a login."""
    from pgsclip.export.push import push as upload

    typer.echo(f"Pushed to {upload(checkpoint, repository, public=public, on_message=_warn)}.")


def _warn(message: str) -> None:
    typer.echo(message, err=True)
