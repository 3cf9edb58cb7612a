"""open_clip's own maker of models, with errors that are sentences and, where nobody computes, without numbers."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import open_clip
import torch

from pgsclip.errors import ModelError
from pgsclip.models.hub import no_text_tower, no_tokenizer, no_weights, text_tower_source
from pgsclip.models.quiet_logs import quiet_logs


def create_model(
    architecture: str, name: str, *, tag: str | None = None, begin_text: bool = False, numbers: bool = True,
    **options: Any,
) -> Any:  # fmt: skip
    """Create a model with fresh weights or those of a tag.

    Args:
        architecture: as the user named it.
        name: as open_clip knows it.
        begin_text: a text tower of Hugging Face starts from its own weights, as open_clip has it.
        numbers: false builds shapes only, in no time and no memory.

    Raises:
        ModelError: open_clip cannot build it, it is not one image and one text tower, or something is missing that
            would come from the network.
    """
    _refuse_other_kinds(architecture, open_clip.get_model_config(name) or {})
    if not numbers:
        options["device"] = "meta"
    try:
        with quiet_logs(errors=True), nullcontext() if numbers else torch.device("meta"):
            return open_clip.create_model(
                name, pretrained=tag, load_weights=tag is not None, pretrained_text=begin_text, **options
            )
    except Exception as error:  # the hub's client, the reader and the model all have errors of their own
        source = text_tower_source(name)
        if source is not None and (isinstance(error, OSError | ImportError) or "transformers" in str(error)):
            raise no_text_tower(architecture, source, error, weights=begin_text) from None
        if tag is not None:
            raise no_weights(name, tag, error) from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"open_clip cannot build {architecture!r} as configured: {reason}") from None


def load_tokenizer(architecture: str, name: str) -> Any:
    """The tokenizer of an open_clip model.

    Raises:
        ModelError: it is not here and would have to come from the network.
    """
    try:
        return open_clip.get_tokenizer(name)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise no_tokenizer(architecture, name, error) from None


def _refuse_other_kinds(architecture: str, config: dict[str, Any]) -> None:
    if "multimodal_cfg" in config:
        raise ModelError(
            f"{architecture!r} is a CoCa model, whose caption decoder a contrastive loss does not train. "
            f"Take a CLIP model, such as ViT-B-16."
        )
    if config and not config.get("vision_cfg"):
        raise ModelError(f"{architecture!r} has no image tower. Take a CLIP model, such as ViT-B-16.")
