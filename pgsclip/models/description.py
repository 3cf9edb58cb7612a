"""What a folder says of the model in it: open_clip's description, our plain one, or that of transformers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip

from pgsclip.errors import ModelError
from pgsclip.models.logit_scale import SIGLIP_BIAS, has_bias
from pgsclip.models.run_weights import OPEN_CLIP_CONFIG
from pgsclip.models.transformers_config import from_config, from_preprocessor

LOCAL = "local-dir:"
"""How open_clip calls a model that a folder describes."""
CONFIG = "config.json"
"""Of transformers, and of our own plain form."""
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def describe_model(name: str, model: Any) -> dict[str, Any]:
    """The `model_cfg` from which open_clip builds a model of this very architecture.

    Args:
        name: under which open_clip built it; size, context length and bias are those that it has now.
    """
    config: dict[str, Any] = copy.deepcopy(open_clip.get_model_config(name))
    size = model.visual.image_size
    config["vision_cfg"]["image_size"] = size if isinstance(size, int) or len({*size}) > 1 else size[0]
    config.pop("init_logit_bias", None)
    if has_bias(model):
        config["init_logit_bias"] = SIGLIP_BIAS
    return config


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
    description = read_description(folder)
    if description is None:
        raise ModelError(
            f"{folder} describes no model: it has no {OPEN_CLIP_CONFIG}, and no {CONFIG} of a CLIP. Give the folder of "
            f"an exported model, of open_clip or of transformers."
        )
    with TemporaryDirectory() as temporary:
        (Path(temporary) / OPEN_CLIP_CONFIG).write_text(json.dumps(description), encoding="utf-8")
        for file in folder.iterdir():  # a tokenizer of its own lies beside the model
            if file.name != CONFIG and file.suffix not in WEIGHTS_SUFFIXES:
                (Path(temporary) / file.name).symlink_to(file.resolve())
        yield f"{LOCAL}{temporary}"


def read_description(folder: Path) -> dict[str, Any] | None:
    """`model_cfg` and `preprocess_cfg` as open_clip writes them; None where the folder says nothing of a CLIP.

    Raises:
        ModelError: a file that should say it cannot be read.
    """
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return _json(folder / OPEN_CLIP_CONFIG)
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
