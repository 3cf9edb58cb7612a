"""What plugins keep in a checkpoint beside the weights: `plugins.safetensors`, tensors by group, name and key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.errors import RunError
from pgsclip.models.checksums import verify_file
from pgsclip.models.weights import write_tensors

FILE = "plugins.safetensors"
States = dict[str, dict[str, dict[str, Tensor]]]
"""Group, such as `pgsclip.maskers` → name of the plugin → key → tensor."""


def write_states(folder: Path, states: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> None:
    """Write the states of all plugins; a run whose plugins keep nothing has no such file."""
    flat = {
        f"{group}/{name}/{key}": tensor.detach().cpu().clone().contiguous()
        for group, plugins in states.items()
        for name, state in plugins.items()
        for key, tensor in state.items()
    }
    if flat:
        write_tensors(flat, folder / FILE)


def read_states(folder: Path) -> States:
    """The states that a checkpoint holds; empty where it has none.

    Raises:
        RunError: the file is damaged, or its bytes differ from their checksum.
    """
    if not (folder / FILE).is_file():
        return {}
    wrong = verify_file(folder / FILE)
    if wrong is not None:
        raise RunError(f"{folder / FILE} is damaged: {wrong}. Take another checkpoint, or put back a copy.")
    found: States = {}
    try:
        for place, tensor in load_file(folder / FILE).items():
            group, name, key = place.split("/", 2)
            found.setdefault(group, {}).setdefault(name, {})[key] = tensor
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"{folder / FILE} is damaged ({type(error).__name__}: {error}).") from None
    return found
