"""torch.compile, block by block: one graph serves all blocks of a tower, in seconds instead of minutes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import nn

from pgsclip.errors import ModelError


def compile_blocks(blocks: Iterable[nn.Module], device: torch.device) -> None:
    """Compile blocks where they are. What chooses the patches, between them, runs as it is and draws as it does, and so
    does a last block that runs for one token.

    Raises:
        ModelError: there is no compiler that torch could use.
    """
    _try_compiler(device)
    # Groups of captions, ranges of patches and evaluation come in sizes of their own; with fewer graphs than that
    # torch would go back to uncompiled code, silently.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
    for block in blocks:
        block.compile()


def _try_compiler(device: torch.device) -> None:
    try:
        with warnings.catch_warnings():  # torch about its own insides
            warnings.simplefilter("ignore")
            torch.compile(torch.neg)(torch.ones(8, device=device))
    except Exception as error:  # of whichever of its many parts
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"torch.compile does not work on this machine: {cause[:200]}. Install a C++ compiler (Debian: "
            f"apt install g++), or give engine.compile=false."
        ) from None
