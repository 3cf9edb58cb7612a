"""What a model wants from the network and this machine does not have, as a sentence that says how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip

from pgsclip.errors import ModelError


def text_tower_source(name: str) -> str | None:
    """Where on the Hugging Face hub the text tower of an open_clip model is described; None for open_clip's own."""
    config: dict[str, Any] = open_clip.get_model_config(name) or {}
    found: str | None = (config.get("text_cfg") or {}).get("hf_model_name")
    return found


def no_tokenizer(architecture: str, name: str, error: Exception) -> ModelError:
    """The sentence for a tokenizer that cannot be loaded.

    Args:
        architecture: as the user named the model.
        name: as open_clip knows it.
    """
    text = (open_clip.get_model_config(name) or {}).get("text_cfg") or {}
    source = text.get("hf_tokenizer_name") or text.get("hf_model_name") or name
    return ModelError(
        f"The tokenizer of {architecture!r} cannot be loaded: {_reason(error)} {_place(source)}. "
        f"{_remedy('transformers', f'AutoTokenizer.from_pretrained({source!r})')}, or take a model with CLIP's own "
        f"tokenizer, such as ViT-B-16."
    )


def no_text_tower(architecture: str, source: str, error: Exception, *, weights: bool) -> ModelError:
    """The sentence for a text tower whose description, or whose `weights` too, cannot be loaded."""
    call = f"{'AutoModel' if weights else 'AutoConfig'}.from_pretrained({source!r})"
    return ModelError(
        f"The text tower of {architecture!r} cannot be loaded: {_reason(error)} {_place(source)}. "
        f"{_remedy('transformers', call)}, or take a model whose text tower is open_clip's own, "
        f"such as ViT-B-16."
    )


def no_weights(architecture: str, tag: str, error: Exception) -> ModelError:
    """The sentence for pretrained weights that cannot be loaded."""
    known = open_clip.get_pretrained_cfg(architecture, tag)
    source = (known.get("hf_hub") or "").rstrip("/")
    place = _place(source) if source else f"They are at {known.get('url')} and their cache is {_url_cache()}"
    call = f"create_model({architecture!r}, pretrained={tag!r})"
    return ModelError(
        f"The pretrained weights {tag!r} of {architecture} cannot be loaded: {_reason(error)} {place}. "
        f"{_remedy('open_clip', call)}."
    )


def _place(source: str) -> str:
    from huggingface_hub import constants

    if Path(source).is_dir():
        return f"It is read from {source}"
    offline = ", and HF_HUB_OFFLINE forbids to fetch it" if constants.HF_HUB_OFFLINE else ""
    return f"It comes from {source} of the Hugging Face hub, whose cache is {constants.HF_HUB_CACHE}{offline}"


def _remedy(library: str, call: str) -> str:
    return (
        f'Where there is a network, fill the cache once with: python -c "import {library}; {library}.{call}" (and copy '
        f"it here, if that is another machine)"
    )


def _reason(error: Exception) -> str:
    """The first sentence of an error, which may go on for a page."""
    first = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
    return f"{first or type(error).__name__}."


def _url_cache() -> Path:
    return Path("~/.cache/clip").expanduser()
