"""pgsclip trains CLIP models on the patches that matter and shows what it kept."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "masker"]


def __getattr__(name: str) -> object:
    """`pgsclip.masker` on first use, so that `import pgsclip` does not wait for torch."""
    if name == "masker":
        from pgsclip.masking.handle import masker

        return masker
    raise AttributeError(f"module 'pgsclip' has no attribute {name!r}")
