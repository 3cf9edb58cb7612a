"""Folders of weights and their description, and nothing else: `model.safetensors` and `config.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pgsclip.export.formats import save_tokenizer, write_json
from pgsclip.export.parity import Embeddings, embed
from pgsclip.models.description import CONFIG
from pgsclip.models.opening import Opened, open_model
from pgsclip.models.source import find_source
from pgsclip.models.weights import save_state_dict
from pgsclip.version import __version__


def write(opened: Opened, folder: Path) -> None:
    """Write weights under open_clip's names, and its `model_cfg` and `preprocess_cfg`."""
    save_state_dict(opened.model.state_dict(), folder / "model.safetensors")
    described = {"model_cfg": opened.model_cfg, "preprocess_cfg": dict(opened.preprocess_cfg)}
    write_json(folder / CONFIG, {"library_name": "pgsclip", "pgsclip_version": __version__, **described})
    save_tokenizer(opened, folder)


def read_back(folder: Path, images: Sequence[Image.Image], texts: Sequence[str]) -> Embeddings:
    """Embed by pgsclip: no other library reads this format."""
    return embed(open_model(find_source(str(folder))), images, texts)
