"""Any CLIP checkpoint as something that can be evaluated: ours, open_clip's, the authors' released files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
import yaml
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from pgsclip.config.resolve import check
from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError, did_you_mean
from pgsclip.evaluation.encoder import Encoder
from pgsclip.models.build import load_tokenizer, register_own_models
from pgsclip.models.weights import load_weights

_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_FILES = (".safetensors", ".pt", ".pth", ".bin")
_FORMS = (
    "Give a run folder, a checkpoint folder, MODEL:TAG or MODEL:FILE with an open_clip model name such as "
    "ViT-B-16:clip-pgs-0.3.pt, or local-dir:FOLDER"
)


@dataclass(frozen=True)
class Subject:
    """A model on its device, ready to be asked."""

    name: str
    architecture: str
    weights: str
    """Hash of the weights."""
    encoder: Encoder
    transform: Callable[[Any], Tensor]
    run: Path | None = None
    """The run folder that it comes from."""


@dataclass(frozen=True)
class Source:
    """Where a model and its weights come from, before anything is loaded."""

    architecture: str
    file: Path | None = None
    tag: str | None = None
    image_size: int | None = None
    run: Path | None = None


def find_source(given: str) -> Source:
    """What a checkpoint argument means.

    Raises:
        ModelError: nothing of the kind is there, or the architecture is not known.
    """
    register_own_models()
    path = Path(given.removeprefix("local-dir:"))
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if given.startswith("local-dir:"):
        raise ModelError(f"There is no folder {path}. {_FORMS}.")
    name, colon, rest = given.partition(":")
    if name not in open_clip.list_models():
        hint = did_you_mean(name, open_clip.list_models())
        raise ModelError(f"There is no checkpoint {given!r}, nor an open_clip model {name!r}.{hint} {_FORMS}.")
    if not colon:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise ModelError(f"{name} alone has no weights. Give {name}:FILE, or {name}:TAG with a tag of {tags}.")
    if Path(rest).suffix in _FILES or Path(rest).is_file():
        return Source(name, file=Path(rest))
    tags_known = open_clip.list_pretrained_tags_by_model(name)
    if rest not in tags_known:
        raise ModelError(
            f"There is no file {rest!r}, and no pretrained weights of that tag for {name}."
            f"{did_you_mean(rest, tags_known)} Tags: {', '.join(tags_known) or 'none'}."
        )
    return Source(name, tag=rest)


def open_subject(given: str, device: torch.device, *, download: bool = False, precision: str = "fp32") -> Subject:
    """Load a checkpoint for evaluation. No patch is hidden.

    Args:
        download: pretrained tags may be fetched; without it they must be in the cache.
        precision: fp32, or amp (autocast, as clip-benchmark's own default on a GPU).

    Raises:
        ModelError: it cannot be found or read, or does not fit its architecture.
    """
    source = find_source(given)
    model = _build(source, download)
    _refuse_nonfinite(model, given)
    return as_subject(given, source, model, device, precision)


def untrained(name: str, device: torch.device) -> Subject:
    """One of our models with fresh weights, for the demo."""
    register_own_models()
    source = Source(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = _create(source)
    return as_subject(f"{name} (untrained)", source, model, device, "fp32")


def as_subject(name: str, source: Source, model: nn.Module, device: torch.device, precision: str) -> Subject:
    """A loaded model with everything that an evaluation needs of it."""
    weights = weights_hash(model)
    model = model.to(device).eval()
    amp = precision == "amp"

    @torch.no_grad()
    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        with torch.autocast(device.type, enabled=amp):
            seen = None if images is None else model.encode_image(images)  # type: ignore[operator]
            read = None if texts is None else model.encode_text(texts)  # type: ignore[operator]
        return _unit(seen), _unit(read)

    cfg = PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
    transform: Callable[[Any], Tensor] = image_transform_v2(cfg, is_train=False)
    encoder = Encoder(features, load_tokenizer(source.architecture), device)
    return Subject(name, source.architecture, weights, encoder, transform, source.run)


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


def weights_hash(model: nn.Module) -> str:
    """Hash of all tensors by name; neither file name nor format, device or temperature's shape matter."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unit(features: Tensor | None) -> Tensor | None:
    return None if features is None else F.normalize(features.float(), dim=-1)


def _folder(path: Path) -> Source:
    if (path / "config.yaml").is_file():
        return _run(path, None)
    run = next((parent for parent in list(path.resolve().parents)[:2] if (parent / "config.yaml").is_file()), None)
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if run is not None and weights is not None:
        return _run(run, weights)
    if (path / "open_clip_config.json").is_file():
        if weights is None:
            raise ModelError(f"{path} has an open_clip_config.json but none of {' or '.join(_WEIGHTS)} beside it.")
        return Source(f"local-dir:{path}", file=weights)
    raise ModelError(
        f"{path} is neither a run folder (no config.yaml) nor a model folder (no open_clip_config.json). {_FORMS}."
    )


def _file(path: Path) -> Source:
    if path.suffix not in _FILES:
        raise ModelError(f"{path} is not a weights file: {', '.join(_FILES)} are. {_FORMS}.")
    if (path.parent / "open_clip_config.json").is_file():
        return Source(f"local-dir:{path.parent}", file=path)
    for parent in list(path.resolve().parents)[:3]:
        if (parent / "config.yaml").is_file():
            return _run(parent, path)
    raise ModelError(f"{path} does not say which model it belongs to. Give MODEL:{path}, such as ViT-B-16:{path}.")


def _run(run: Path, weights: Path | None) -> Source:
    try:
        config: ModelConfig = check(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) or {}).model
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"The config of the run {run} cannot be read: {' '.join(str(error).split())}.") from None
    if weights is None:
        steps = sorted((run / "checkpoints").glob("step-*"))
        found = [step / _WEIGHTS[0] for step in steps if (step / _WEIGHTS[0]).is_file()]
        if not found:
            raise ModelError(f"The run {run} has no checkpoint yet; train it first, or name another one.")
        weights = found[-1]
    return Source(config.name, file=weights, image_size=config.image_size, run=run)


def _build(source: Source, download: bool) -> nn.Module:
    if source.tag is not None:
        with _network(download):
            loaded: nn.Module = _create(source, pretrained=source.tag)
            return loaded
    assert source.file is not None
    with _network(download):  # some text towers would fetch their own start
        model: nn.Module = _create(source)
    try:
        load_weights(model, source.file)
    except ModelError as error:
        if "logit_bias" not in str(error):
            raise
        model = _create(source, init_logit_bias=-10.0)  # a SigLIP model, which has one weight more
        load_weights(model, source.file)
    return model


def _create(source: Source, **options: Any) -> Any:
    level = logging.root.level
    try:
        logging.root.setLevel(logging.ERROR)  # open_clip reports every model that it builds
        return open_clip.create_model(
            source.architecture, force_image_size=source.image_size, load_weights="pretrained" in options, **options
        )
    except Exception as error:  # the hub's client, the reader and the model all have errors of their own
        reason = str(error).strip().split("\n")[0]
        if "pretrained" in options:
            raise ModelError(
                f"The pretrained weights {source.tag!r} of {source.architecture} cannot be had: {reason} "
                f"Nothing is downloaded without --download."
            ) from None
        raise ModelError(f"open_clip cannot build {source.architecture!r}: {reason}") from None
    finally:
        logging.root.setLevel(level)


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
