"""Folders that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads, and the hub under `hf-hub:`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import open_clip
import torch
from PIL import Image

from pgsclip.export.formats import save_tokenizer, write_json
from pgsclip.export.parity import Embeddings, encode, to_embeddings
from pgsclip.models.description import LOCAL
from pgsclip.models.opening import Opened
from pgsclip.models.run_weights import OPEN_CLIP_CONFIG
from pgsclip.models.weights import save_state_dict


def write(opened: Opened, folder: Path) -> None:
    """Write weights, architecture and preprocessing; a tokenizer of its own where the model has one."""
    save_state_dict(opened.model.state_dict(), folder / "open_clip_model.safetensors")
    write_json(
        folder / OPEN_CLIP_CONFIG, {"model_cfg": opened.model_cfg, "preprocess_cfg": dict(opened.preprocess_cfg)}
    )
    save_tokenizer(opened, folder)


def read_back(folder: Path, images: Sequence[Image.Image], texts: Sequence[str]) -> Embeddings:
    """Embed as anybody with open_clip would."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"{LOCAL}{folder}")
    pixels = torch.stack([preprocess(image) for image in images])
    return to_embeddings(*encode(model.eval(), pixels, open_clip.get_tokenizer(f"{LOCAL}{folder}")(texts)))
