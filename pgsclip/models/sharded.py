"""Weights in several safetensors files, with the index that transformers writes beside them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from pgsclip.errors import ModelError

INDEX = ".safetensors.index.json"
"""How the name of an index ends."""


def read_sharded(index: Path) -> dict[str, Tensor]:
    """Everything that the files of an index hold.

    Raises:
        ModelError: the index cannot be read, or a file or a tensor that it names is missing.
        SafetensorError: a file is damaged.
    """
    try:
        places: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(name) for name in places.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(
            f"{index} is no index of weights: it must be a JSON object with the file of each tensor in 'weight_map'. "
            f"Fetch it again, or save the model with transformers' save_pretrained."
        ) from None
    missing = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    if missing:
        raise ModelError(
            f"{index} names files that are not beside it: {', '.join(missing)}. Put all {len(names)} of them there."
        )
    state: dict[str, Tensor] = {}
    for name in names:
        state.update(load_file(index.parent / name))
    lost = sorted(places.keys() - state.keys())
    if lost:
        raise ModelError(f"{index} names tensors that its files do not hold, such as {lost[0]}. Fetch all of it again.")
    return state
