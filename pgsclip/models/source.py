"""What a checkpoint argument means: ours, open_clip's, transformers', the authors' released files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError, did_you_mean
from pgsclip.models.own_configs import register_own_models
from pgsclip.models.run_weights import WEIGHTS, describe_named, find_run_weights, step_of
from pgsclip.models.transformers_config import from_config, from_preprocessor
from pgsclip.models.weights import INDEX

LOCAL = "local-dir:"
"""How open_clip calls a model that a folder describes."""
HUB = "hf-hub:"
"""How open_clip calls a model of the hub."""
OPEN_CLIP_CONFIG = "open_clip_config.json"
CONFIG = "config.json"
"""Of transformers, and of our own plain form."""
_WEIGHTS = (
    WEIGHTS,
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    f"model{INDEX}",
    "pytorch_model.bin",
)
_BIN_INDEX = "pytorch_model.bin.index.json"
"""Of pickles in several files, as transformers wrote them before safetensors."""
_FILES = (".safetensors", ".pt", ".pth", ".bin")
_FORMS = (
    "Give a run folder, a checkpoint folder, MODEL:TAG or MODEL:FILE with an open_clip model name such as "
    "ViT-B-16:clip-pgs-0.3.pt, or the folder of an exported model, of open_clip or of transformers"
)


@dataclass(frozen=True)
class ModelRef:
    """Where a model and its weights come from, before anything is loaded."""

    architecture: str
    """An open_clip model name, or `local-dir:FOLDER` of a folder that describes its model."""
    file: Path | None = None
    tag: str | None = None
    image_size: int | None = None
    run: Path | None = None
    """The run folder that it comes from."""
    given: str = ""
    """As the user named it."""
    finding: str | None = None
    """A sentence that the user should read: damaged checkpoints that were passed over, or named."""

    @property
    def step(self) -> int | None:
        """The training step of a run's checkpoint."""
        return None if self.file is None else step_of(self.file.parent)


def find_source(given: str) -> ModelRef:
    """Find the model that a checkpoint argument means.

    Of a run folder it is the newest checkpoint whose weights are as they were written.

    Raises:
        ModelError: nothing of the kind is there, the architecture is not known, or no checkpoint of a run is whole.
    """
    register_own_models()
    return replace(_find(given), given=given)


def _find(given: str) -> ModelRef:
    path = Path(given.removeprefix(LOCAL))
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if given.startswith(LOCAL):
        raise ModelError(f"There is no folder {path}. {_FORMS}.")
    name, colon, rest = given.partition(":")
    if name not in open_clip.list_models():
        hint = did_you_mean(name, open_clip.list_models())
        raise ModelError(f"There is no checkpoint {given!r}, nor an open_clip model {name!r}.{hint} {_FORMS}.")
    if not colon:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise ModelError(f"{name} alone has no weights. Give {name}:FILE, or {name}:TAG with a tag of {tags}.")
    if Path(rest).suffix in _FILES or rest.endswith(INDEX) or Path(rest).is_file():
        return ModelRef(name, file=Path(rest), finding=describe_named(Path(rest)))
    tags_known = open_clip.list_pretrained_tags_by_model(name)
    if rest not in tags_known:
        raise ModelError(
            f"There is no file {rest!r}, and no pretrained weights of that tag for {name}."
            f"{did_you_mean(rest, tags_known)} Tags: {', '.join(tags_known) or 'none'}."
        )
    return ModelRef(name, tag=rest)


@contextmanager
def open_clip_name(architecture: str) -> Iterator[str]:
    """The name under which open_clip builds an architecture, for as long as the context lasts.

    open_clip reads one kind of description; folders of another kind lend it one.

    Raises:
        ModelError: the folder of a `local-dir:` does not describe a model.
    """
    folder = Path(architecture.removeprefix(LOCAL))
    if not architecture.startswith(LOCAL) or (folder / OPEN_CLIP_CONFIG).is_file():
        yield architecture
        return
    description = _description(folder)
    if description is None:
        raise ModelError(f"{folder} describes no model (no {OPEN_CLIP_CONFIG}, no {CONFIG} of a CLIP). {_FORMS}.")
    with TemporaryDirectory() as temporary:
        (Path(temporary) / OPEN_CLIP_CONFIG).write_text(json.dumps(description), encoding="utf-8")
        for file in folder.iterdir():  # a tokenizer of its own lies beside the model
            if file.name != CONFIG and file.suffix not in _FILES:
                (Path(temporary) / file.name).symlink_to(file.resolve())
        yield f"{LOCAL}{temporary}"


def _description(folder: Path) -> dict[str, Any] | None:
    """`model_cfg` and `preprocess_cfg` as open_clip writes them; None where the folder says nothing of a CLIP."""
    config = _json(folder / CONFIG)
    if "model_cfg" in config:
        return config
    if config.get("model_type") != "clip":
        return None
    processor = _json(folder / "preprocessor_config.json") or _json(folder / "processor_config.json")
    processor = processor.get("image_processor", processor)
    return {"model_cfg": from_config(config), "preprocess_cfg": from_preprocessor(processor)}


def _json(path: Path) -> dict[str, Any]:
    """The object that a file holds; empty where there is no file.

    Raises:
        ModelError: the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object, and so describes no model.")
    return content


def _folder(path: Path) -> ModelRef:
    if (path / "config.yaml").is_file():
        return _run(path, None)
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if weights is None and (path / _BIN_INDEX).is_file():
        raise _several_pickles(path)
    described = (path / OPEN_CLIP_CONFIG).is_file() or _description(path) is not None
    if described and weights is None:
        raise ModelError(f"{path} describes a model, but has none of {', '.join(_WEIGHTS)} beside it.")
    if described:
        return ModelRef(f"{LOCAL}{path}", file=weights)
    run = next((parent for parent in list(path.resolve().parents)[:2] if (parent / "config.yaml").is_file()), None)
    if run is not None and weights is not None:
        return _run(run, weights)
    raise ModelError(
        f"{path} is neither a run folder (no config.yaml) nor a model folder (no {OPEN_CLIP_CONFIG}, no {CONFIG} of a "
        f"CLIP). {_FORMS}."
    )


def _several_pickles(folder: Path) -> ModelError:
    return ModelError(
        f"{folder} holds its weights in several pickled files ({_BIN_INDEX}), which are not read. Write them as "
        f"safetensors once, where you trust them: "
        f"CLIPModel.from_pretrained({str(folder)!r}).save_pretrained(OTHER), with transformers, and give OTHER."
    )


def _file(path: Path) -> ModelRef:
    if path.name == _BIN_INDEX:
        raise _several_pickles(path.parent)
    if path.suffix not in _FILES and not path.name.endswith(INDEX):
        raise ModelError(f"{path} is not a weights file: {', '.join(_FILES)} are. {_FORMS}.")
    if (path.parent / OPEN_CLIP_CONFIG).is_file() or _description(path.parent) is not None:
        return ModelRef(f"{LOCAL}{path.parent}", file=path)
    for parent in list(path.resolve().parents)[:3]:
        if (parent / "config.yaml").is_file():
            return _run(parent, path)
    raise ModelError(f"{path} does not say which model it belongs to. Give MODEL:{path}, such as ViT-B-16:{path}.")


def _run(run: Path, weights: Path | None) -> ModelRef:
    try:
        config: ModelConfig = check(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) or {}).model
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"The config of the run {run} cannot be read: {' '.join(str(error).split())}.") from None
    weights, finding = find_run_weights(run) if weights is None else (weights, describe_named(weights))
    return ModelRef(config.name, file=weights, image_size=config.image_size, run=run, finding=finding)
