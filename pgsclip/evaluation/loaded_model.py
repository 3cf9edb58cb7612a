"""CLIP checkpoints of any origin, loaded for evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from pgsclip.evaluation.encoder import Encoder
from pgsclip.models.opening import Opened, open_model, open_untrained
from pgsclip.models.source import ModelRef, find_source


@dataclass(frozen=True)
class LoadedModel:
    """A model on its device, ready for evaluation."""

    name: str
    architecture: str
    weights: str
    """Hash of the weights."""
    encoder: Encoder
    transform: Callable[[Any], Tensor]
    run: Path | None = None
    """The run folder that it comes from."""
    step: int | None = None
    """The training step of a run's checkpoint."""


def load_model(
    given: str | ModelRef, device: torch.device, *, download: bool = False, precision: str = "fp32"
) -> LoadedModel:
    """Load a checkpoint for evaluation. No patch is hidden.

    Args:
        given: as the user named it, or what `find_source` made of that.
        download: pretrained tags may be fetched; without it they must be in the cache.
        precision: fp32, or amp (autocast, as clip-benchmark's own default on a GPU).

    Raises:
        ModelError: it cannot be found or read, or does not fit its architecture.
    """
    source = find_source(given) if isinstance(given, str) else given
    return as_loaded_model(source.given, open_model(source, download=download), device, precision)


def load_untrained(name: str, device: torch.device) -> LoadedModel:
    """Build one of our models with fresh weights, for the demo."""
    return as_loaded_model(f"{name} (untrained)", open_untrained(name), device, "fp32")


def as_loaded_model(name: str, opened: Opened, device: torch.device, precision: str) -> LoadedModel:
    """Move an open model to its device and add everything that an evaluation needs of it."""
    weights = weights_hash(opened.model)
    model: Any = opened.model.to(device)
    amp = precision == "amp"

    @torch.no_grad()
    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        with torch.autocast(device.type, enabled=amp):
            seen = None if images is None else model.encode_image(images)
            read = None if texts is None else model.encode_text(texts)
        return _unit(seen), _unit(read)

    transform: Callable[[Any], Tensor] = image_transform_v2(PreprocessCfg(**opened.preprocess_cfg), is_train=False)
    encoder = Encoder(features, opened.tokenizer, device)
    source = opened.source
    return LoadedModel(name, source.architecture, weights, encoder, transform, source.run, source.step)


def weights_hash(model: nn.Module) -> str:
    """Hash all tensors by name; neither file name nor format, device or the logit scale's shape matter."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unit(features: Tensor | None) -> Tensor | None:
    return None if features is None else F.normalize(features.float(), dim=-1)
