"""What a new run begins with: the weights, and all that comes with them where the config leaves it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import open_clip

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError, did_you_mean
from pgsclip.models.description import LOCAL, WEIGHTS_SUFFIXES, read_description
from pgsclip.models.preprocessing import completed, overlaid, read_preprocess
from pgsclip.models.run_weights import describe_named
from pgsclip.models.source import ModelRef, find_beside, find_source, list_names, tagged


class Completed(NamedTuple):
    """A config that leaves nothing to whoever reads it later, and sentences about what was not as it was typed."""

    config: ModelConfig
    findings: tuple[str, ...] = ()


def find_start(config: ModelConfig) -> ModelRef | None:
    """The weights that a config begins with; None for fresh ones.

    Raises:
        ModelError: an unknown tag or folder.
    """
    given = config.pretrained
    if given is None:
        return find_source(config.name) if config.name.startswith(LOCAL) else None
    path = Path(given.removeprefix(LOCAL))
    if path.is_file() or path.suffix in WEIGHTS_SUFFIXES:
        return find_beside(path) or ModelRef(config.name, file=path, finding=describe_named(path))
    known = open_clip.list_pretrained_tags_by_model(config.name)
    if given in known:
        return tagged(config.name, given)
    if given.startswith(LOCAL) or (path.is_dir() and any(path.iterdir())) or ":" in given:
        return find_source(given)
    raise ModelError(
        f"There are no pretrained weights {given!r} for {config.name}.{did_you_mean(given, known)} "
        f"Tags: {', '.join(known) or 'none'}; or give the path of a .safetensors or .pt file, a run or an exported "
        f"model."
    )


def complete_model(config: ModelConfig) -> Completed:
    """Fill in what the weights to start from bring: architecture, image size, preprocessing.

    What the config gives stays. What is complete is given back as it is, and its weights are not looked for.

    Raises:
        ModelError: there are no such weights, or an unknown architecture.
    """
    refuse_unknown(config.name)
    if _is_complete(config):
        return Completed(config)
    start = find_start(config)
    name = config.name
    findings: tuple[str, ...] = ()
    if start is not None and start.architecture != name and (start.tag or "name" not in config.model_fields_set):
        name = start.architecture
        findings = (f"The weights {config.pretrained} are those of {name}, which takes the place of {config.name}.",)
    preprocess = overlaid(config.preprocess, None if start is None else start.preprocess, _of_architecture(name))
    image_size = config.image_size or (start and _image_size(start)) or _image_size(ModelRef(name))
    update = {"name": name, "preprocess": completed(preprocess), "image_size": image_size}
    return Completed(config.model_copy(update=update), findings)


def _is_complete(config: ModelConfig) -> bool:
    """Whether nothing is open, as in the `config.yaml` of a run, whose first weights may be gone."""
    tag = config.pretrained in open_clip.list_pretrained_tags_by_model(config.name)
    named = "name" in config.model_fields_set and (
        not tag or tagged(config.name, str(config.pretrained)).architecture == config.name
    )
    return named and config.image_size is not None and None not in config.preprocess.model_dump().values()


def refuse_unknown(name: str) -> None:
    """
    Raises:
        ModelError: open_clip does not know the name, and it is no `local-dir:`.
    """
    names = list_names()
    if name not in names and not name.startswith(LOCAL):
        raise ModelError(
            f"Unknown model {name!r}.{did_you_mean(name, names)} "
            f"Any open_clip model with a ViT works; `python -c 'import open_clip; print(open_clip.list_models())'` "
            f"lists them; or local-dir:FOLDER of an exported model."
        )


def _of_architecture(name: str) -> Any:
    if not name.startswith(LOCAL):
        return None
    folder = name.removeprefix(LOCAL)
    return read_preprocess((read_description(Path(folder)) or {}).get("preprocess_cfg") or {}, folder)


def _image_size(source: ModelRef) -> int | tuple[int, int]:
    """That of the run, or of the architecture itself."""
    if source.image_size is not None:
        return source.image_size
    if source.architecture.startswith(LOCAL):
        model: Any = (read_description(Path(source.architecture.removeprefix(LOCAL))) or {}).get("model_cfg")
    else:
        model = open_clip.get_model_config(source.architecture)
    size = ((model or {}).get("vision_cfg") or {}).get("image_size", 224)
    if isinstance(size, int):
        return size
    height, width = size
    return height if height == width else (height, width)
