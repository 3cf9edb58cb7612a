"""pgsclip trains CLIP models on the patches that matter and shows what it kept."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pgsclip.version import __version__

if TYPE_CHECKING:
    from pgsclip.api import evaluate, train
    from pgsclip.data.decoding import read_image
    from pgsclip.masked_tower import masked
    from pgsclip.masking.masker_api import masker

__all__ = ["__version__", "evaluate", "masked", "masker", "read_image", "train"]

_HOMES = {
    "evaluate": "pgsclip.api",
    "masked": "pgsclip.masked_tower",
    "masker": "pgsclip.masking.masker_api",
    "read_image": "pgsclip.data.decoding",
    "train": "pgsclip.api",
}


def __getattr__(name: str) -> object:
    """The public functions on first use, so that `import pgsclip` does not wait for torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pgsclip' has no attribute {name!r}")
