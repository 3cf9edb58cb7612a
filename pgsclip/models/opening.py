"""A checkpoint as a model that computes, all patches seen; nothing is fetched unless that is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.models.build import Tokenizer
from pgsclip.models.creation import create_model, load_tokenizer
from pgsclip.models.description import describe_model, open_clip_name
from pgsclip.models.logit_scale import BIAS, give_bias, has_bias, take_bias
from pgsclip.models.own_configs import register_own_models
from pgsclip.models.preprocessing import attach
from pgsclip.models.source import ModelRef
from pgsclip.models.state_file import read_state
from pgsclip.models.weights import load_state


@dataclass(frozen=True)
class Opened:
    """A model on the CPU, in evaluation mode, with what belongs to it."""

    source: ModelRef
    model: nn.Module
    """open_clip's."""
    tokenizer: Tokenizer
    model_cfg: dict[str, Any]
    """From which open_clip builds this very architecture."""
    preprocess_cfg: dict[str, Any]
    """How open_clip makes an image fit, with its size."""


def open_model(source: ModelRef, *, download: bool = False) -> Opened:
    """Build a model and load its weights.

    Args:
        download: pretrained tags may be fetched; without it they must be in the cache.

    Raises:
        ModelError: it cannot be built or read, does not fit its architecture, or its weights are not finite.
    """
    with open_clip_name(source.architecture) as name:
        model = _loaded(source, name, download)
        _refuse_nonfinite(model, str(source.file or f"{source.architecture}:{source.tag}"))
        return _opened(source, model, name)


def open_untrained(architecture: str) -> Opened:
    """A model with fresh weights, the same each time; no global generator moves."""
    register_own_models()
    source = ModelRef(architecture)
    with open_clip_name(architecture) as name, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return _opened(source, _create(source, name), name)


def _opened(source: ModelRef, model: nn.Module, name: str) -> Opened:
    config, preprocess = describe_model(name, model), attach(model, source.preprocess)
    tokenizer = load_tokenizer(source.architecture, name)
    return Opened(source, model.eval(), tokenizer, config, preprocess)


def _loaded(source: ModelRef, name: str, download: bool) -> nn.Module:
    if source.tag is not None:
        with _network(download):
            try:
                tagged: nn.Module = _create(source, name)
            except ModelError as error:
                raise error if download else ModelError(f"{error} Without --download nothing is fetched.") from None
            return tagged
    assert source.file is not None
    with _network(download):  # some text towers would fetch their own start
        model: nn.Module = _create(source, name)
    found = read_state(source.file)
    if has_bias(model) and BIAS not in found.state:
        take_bias(model)
    elif BIAS in found.state and not has_bias(model):
        give_bias(model)
    load_state(model, found.state, str(source.file))
    return model


def _create(source: ModelRef, name: str) -> Any:
    return create_model(source.architecture, name, tag=source.tag, force_image_size=source.image_size)


def _refuse_nonfinite(model: nn.Module, given: str) -> None:
    """NaN compares with nothing, so that every metric would come out as some number all the same."""
    names = [name for name, tensor in model.state_dict().items() if not _finite(tensor)]
    if names:
        raise ModelError(
            f"The weights of {given} are not finite: NaN or infinite in {len(names)} of its tensors, such as "
            f"{names[0]}. A training that diverged leaves such a file; take an earlier checkpoint."
        )


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


@contextmanager
def _network(allowed: bool) -> Iterator[None]:
    """Keeps open_clip to what is in the caches, unless the network is allowed."""
    if allowed:
        yield
        return
    from huggingface_hub import constants

    def refuse(url: str, cache_dir: str | None = None) -> str:
        cached = Path(cache_dir or "~/.cache/clip").expanduser() / url.rpartition("/")[2]
        if cached.is_file():
            return str(cached)
        raise OSError(f"{cached} is not there.")

    offline, fetch = constants.HF_HUB_OFFLINE, open_clip.pretrained.download_pretrained_from_url
    constants.HF_HUB_OFFLINE, open_clip.pretrained.download_pretrained_from_url = True, refuse
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, open_clip.pretrained.download_pretrained_from_url = offline, fetch
