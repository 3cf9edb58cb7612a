"""What a checkpoint argument means: ours, open_clip's, transformers', the authors' released files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import open_clip
import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import ModelConfig, PreprocessConfig
from pgsclip.errors import ModelError, did_you_mean
from pgsclip.models.description import CONFIG, LOCAL, WEIGHTS_SUFFIXES, read_description
from pgsclip.models.own_configs import register_own_models
from pgsclip.models.preprocessing import overlaid, read_preprocess
from pgsclip.models.run_weights import OPEN_CLIP_CONFIG, WEIGHTS, describe_named, find_run_weights, run_of, step_of
from pgsclip.models.state_file import INDEX

HUB = "hf-hub:"
"""How open_clip calls a model of the hub."""
_WEIGHTS = (
    WEIGHTS,
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    f"model{INDEX}",
    "pytorch_model.bin",
)
_BIN_INDEX = "pytorch_model.bin.index.json"
"""Of pickles in several files, as transformers wrote them before safetensors."""
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
    image_size: int | tuple[int, int] | None = None
    run: Path | None = None
    """The run folder that it comes from."""
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    """How the place of the weights says that images are made fit; null where it does not say."""
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
    if Path(rest).suffix in WEIGHTS_SUFFIXES or rest.endswith(INDEX) or Path(rest).is_file():
        return ModelRef(name, file=Path(rest), finding=describe_named(Path(rest)))
    tags_known = open_clip.list_pretrained_tags_by_model(name)
    if rest not in tags_known:
        raise ModelError(
            f"There is no file {rest!r}, and no pretrained weights of that tag for {name}."
            f"{did_you_mean(rest, tags_known)} Tags: {', '.join(tags_known) or 'none'}."
        )
    return tagged(name, rest)


def tagged(name: str, tag: str) -> ModelRef:
    """Pretrained weights of open_clip, with the architecture that computes what they were trained to compute.

    Weights that were trained with QuickGELU belong to `NAME-quickgelu`; open_clip itself only warns.
    """
    known = open_clip.get_pretrained_cfg(name, tag)
    quick = f"{name}-quickgelu"
    if known.get("quick_gelu") and not open_clip.get_model_config(name).get("quick_gelu") and quick in list_names():
        name = quick
    return ModelRef(name, tag=tag, preprocess=read_preprocess(known, f"The tag {tag}"))


def list_names() -> list[str]:
    """Names of all architectures, ours among them."""
    register_own_models()
    names: list[str] = open_clip.list_models()
    return names


def _folder(path: Path) -> ModelRef:
    if (path / "config.yaml").is_file():
        return _run(path, None)
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if weights is None and (path / _BIN_INDEX).is_file():
        raise _several_pickles(path)
    found = None if weights is None else find_beside(weights)
    if found is not None:
        return found
    if read_description(path) is not None:
        raise ModelError(f"{path} describes a model, but has none of {', '.join(_WEIGHTS)} beside it.")
    raise ModelError(
        f"{path} is neither a run folder (no config.yaml) nor a model folder (no {OPEN_CLIP_CONFIG}, no {CONFIG} of a "
        f"CLIP). {_FORMS}."
    )


def _of_folder(folder: Path, weights: Path | None) -> ModelRef:
    description = read_description(folder) or {}
    preprocess = read_preprocess(description.get("preprocess_cfg") or {}, str(folder))
    return ModelRef(f"{LOCAL}{folder}", file=weights, preprocess=preprocess)


def _several_pickles(folder: Path) -> ModelError:
    return ModelError(
        f"{folder} holds its weights in several pickled files ({_BIN_INDEX}), which are not read. Write them as "
        f"safetensors once, where you trust them: "
        f"CLIPModel.from_pretrained({str(folder)!r}).save_pretrained(OTHER), with transformers, and give OTHER."
    )


def _file(path: Path) -> ModelRef:
    if path.suffix not in WEIGHTS_SUFFIXES and not path.name.endswith((INDEX, _BIN_INDEX)):
        raise ModelError(f"{path} is not a weights file: {', '.join(WEIGHTS_SUFFIXES)} are. {_FORMS}.")
    found = find_beside(path)
    if found is None:
        raise ModelError(f"{path} does not say which model it belongs to. Give MODEL:{path}, such as ViT-B-16:{path}.")
    return found


def find_beside(weights: Path) -> ModelRef | None:
    """The model of a weights file by what lies beside it: the description of a model, or the run it is part of.

    Raises:
        ModelError: what lies there cannot be read, or the file is an index of pickles.
    """
    if weights.name == _BIN_INDEX:
        raise _several_pickles(weights.parent)
    run = run_of(weights)
    if run is not None:
        return _run(run, weights)
    if read_description(weights.parent) is not None:
        return _of_folder(weights.parent, weights)
    for parent in list(weights.resolve().parents)[:3]:
        if (parent / "config.yaml").is_file():
            return _run(parent, weights)
    return None


def _run(run: Path, weights: Path | None) -> ModelRef:
    try:
        config: ModelConfig = check(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) or {}).model
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"The config of the run {run} cannot be read: {' '.join(str(error).split())}.") from None
    weights, finding = find_run_weights(run) if weights is None else (weights, describe_named(weights))
    preprocess = overlaid(config.preprocess, _before_it_was_kept(config))
    size = _described_size(weights.parent) or config.image_size
    return ModelRef(config.name, file=weights, image_size=size, run=run, preprocess=preprocess, finding=finding)


def _described_size(checkpoint: Path) -> int | tuple[int, int] | None:
    """That of the phase in which a checkpoint was written."""
    vision = ((read_description(checkpoint) or {}).get("model_cfg") or {}).get("vision_cfg") or {}
    size = vision.get("image_size")
    return tuple(size) if isinstance(size, list) else size


def _before_it_was_kept(config: ModelConfig) -> PreprocessConfig | None:
    """The preprocessing of a run whose `config.yaml` does not hold it yet: that of its tag or of its folder."""
    if config.pretrained in open_clip.list_pretrained_tags_by_model(config.name):
        return tagged(config.name, str(config.pretrained)).preprocess
    folder = Path(config.name.removeprefix(LOCAL))
    return _of_folder(folder, None).preprocess if config.name.startswith(LOCAL) and folder.is_dir() else None
