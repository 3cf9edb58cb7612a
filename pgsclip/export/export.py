"""Export a model as a folder that another library loads: written, read back by that library, compared, then kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pgsclip.errors import RunError
from pgsclip.export.card import write_card
from pgsclip.export.formats import find_format
from pgsclip.export.parity import Parity, compare_embeddings, draw_samples_for, embed
from pgsclip.files import atomic_folder
from pgsclip.models.opening import open_model
from pgsclip.models.quiet_logs import quiet_logs
from pgsclip.models.source import find_source


class ExportResult(NamedTuple):
    """An exported model."""

    folder: Path
    parity: Parity


def export(
    given: str,
    to: str,
    out: Path | None = None,
    *,
    download: bool = False,
    place: str | None = None,
    on_message: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Export a checkpoint.

    Args:
        given: anything that `pgsclip eval` takes.
        to: open_clip, transformers, safetensors or onnx.
        out: the folder; `RUN/export/FORMAT`, or `export/FORMAT` of what belongs to no run, when not given.
        download: pretrained tags may be fetched.
        place: name of the folder in the model card, where that is not `out`.
        on_message: told what the user should know about the checkpoint, such as damaged ones that were passed over.

    Raises:
        ConfigError: no such format, or its library is not installed.
        ModelError: no such model, the format cannot express it, or what came out does not match it.
        RunError: the folder is there already or cannot be written.
    """
    form = find_format(to)
    write, read_back = form.load()
    source = find_source(given)
    if source.finding:
        on_message(source.finding)
    folder = out or (source.run or Path()) / "export" / form.name
    _refuse(folder)
    opened = open_model(source, download=download)
    with _appearing(folder) as temporary, quiet_logs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries deprecate their own parts, which nobody here can change
        write(opened, temporary)
        images, texts = draw_samples_for(opened)
        parity = compare_embeddings(embed(opened, images, texts), read_back(temporary, images, texts), form.name)
        write_card(opened, given, form, parity, temporary, place or str(folder))
    return ExportResult(folder, parity)


def _refuse(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(f"{folder} is there already and is not overwritten. Give another --out, or delete it yourself.")


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Give a writer the folder under a temporary name; it is there when all went well, and not at all otherwise."""
    try:
        with atomic_folder(folder.absolute()) as temporary:
            yield temporary
    except OSError as error:
        raise RunError(
            f"The exported model cannot be written to {folder}: {error.strerror or error}. Give another --out."
        ) from None
