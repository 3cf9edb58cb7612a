"""Folders that `transformers.CLIPModel`, `CLIPProcessor` and `CLIPTokenizer` load with `from_pretrained`.

Written without transformers; the files are those of OpenAI's models on the hub, which every version reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image

from pgsclip.export.clip_tokenizer import write_tokenizer
from pgsclip.export.formats import write_json
from pgsclip.export.parity import Embeddings, to_embeddings
from pgsclip.models.description import CONFIG
from pgsclip.models.opening import Opened
from pgsclip.models.transformers_config import to_config, to_preprocessor
from pgsclip.models.transformers_weights import to_transformers
from pgsclip.models.weights import save_state_dict


def write(opened: Opened, folder: Path) -> None:
    """Write weights, architecture, image processor and tokenizer.

    Raises:
        ModelError: CLIPModel cannot express the model.
    """
    config = to_config(opened.model, opened.tokenizer)
    write_json(folder / CONFIG, {**config, "torch_dtype": "float32"})
    write_json(folder / "preprocessor_config.json", to_preprocessor(opened.preprocess_cfg))
    save_state_dict(to_transformers(opened.model.state_dict()), folder / "model.safetensors")
    length = config["text_config"]["max_position_embeddings"]
    write_tokenizer(cast(SimpleTokenizer, opened.tokenizer), folder, length)


@torch.no_grad()
def read_back(folder: Path, images: Sequence[Image.Image], texts: Sequence[str]) -> Embeddings:
    """Embed as anybody with transformers would; nothing is looked for on the hub."""
    import transformers

    library: Any = transformers
    shown = library.utils.logging.is_progress_bar_enabled()
    library.utils.logging.disable_progress_bar()
    try:
        model = library.CLIPModel.from_pretrained(folder, local_files_only=True).eval()
        processor = library.CLIPProcessor.from_pretrained(folder, local_files_only=True)
    finally:
        if shown:
            library.utils.logging.enable_progress_bar()
    inputs = processor(
        images=list(images), text=list(texts), padding="max_length", truncation=True, return_tensors="pt"
    )
    outputs = model(**inputs)
    return to_embeddings(outputs.image_embeds, outputs.text_embeds)
