"""The formats that a model can be exported to: how each is written, and how its own library reads it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from pgsclip.errors import ConfigError, did_you_mean
from pgsclip.export.parity import Embeddings
from pgsclip.models.opening import Opened

Write = Callable[[Opened, Path], None]
"""Writes a model into an empty folder; raises ModelError where the format cannot express it."""
ReadBack = Callable[[Path, Sequence[Image.Image], Sequence[str]], Embeddings]
"""Computes embeddings by the library that the format is for, from the files alone."""


class Format(NamedTuple):
    """One format, and the library that reads it."""

    name: str
    library_name: str
    """Name of the library on the hub, for the model card."""
    usage: str
    """Python that loads the folder; `FOLDER` stands for its place."""
    module: str
    needs: tuple[str, ...] = ()
    """Packages that pgsclip does not install by itself."""
    extra: str = ""
    """Extra of pgsclip that installs them."""

    def load(self) -> tuple[Write, ReadBack]:
        """Import the functions that write and read back.

        Raises:
            ConfigError: a package is missing.
        """
        missing = [package for package in self.needs if find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"Export to {self.name} needs {', '.join(missing)}, which is not installed: the exported model is "
                f"compared with ours by the library that it is for. Get it with `pip install 'pgsclip[{self.extra}]'`."
            )
        module: Any = import_module(self.module)
        return module.write, module.read_back


_OPEN_CLIP = """\
import open_clip

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")
model.eval()
image_features = model.encode_image(preprocess(image).unsqueeze(0), normalize=True)
text_features = model.encode_text(tokenizer(["a caption"]), normalize=True)"""
_TRANSFORMERS = """\
from transformers import CLIPModel, CLIPProcessor

model = CLIPModel.from_pretrained("FOLDER")
processor = CLIPProcessor.from_pretrained("FOLDER")
inputs = processor(images=[image], text=["a caption"], padding="max_length", truncation=True, return_tensors="pt")
outputs = model(**inputs)  # image_embeds and text_embeds are normalised"""
_SAFETENSORS = """\
import json, open_clip
from safetensors.torch import load_file

config = json.load(open("FOLDER/config.json"))  # model_cfg and preprocess_cfg are open_clip's
model = open_clip.model.CLIP(**config["model_cfg"])
model.load_state_dict(load_file("FOLDER/model.safetensors"))"""
_ONNX = """\
import onnxruntime

images = onnxruntime.InferenceSession("FOLDER/image_encoder.onnx")
texts = onnxruntime.InferenceSession("FOLDER/text_encoder.onnx")
image_embeddings = images.run(None, {"images": pixels})[0]  # (B, 3, H, W) float32, see preprocessor_config.json
text_embeddings = texts.run(None, {"texts": tokens})[0]  # (T, N) int64, N as in config.json, zeros behind the end"""

FORMATS = {
    one.name: one
    for one in (
        Format("open_clip", "open_clip", _OPEN_CLIP, "pgsclip.export.open_clip_folder"),
        Format(
            "transformers",
            "transformers",
            _TRANSFORMERS,
            "pgsclip.export.transformers_folder",
            ("transformers",),
            "transformers",
        ),
        Format("safetensors", "pgsclip", _SAFETENSORS, "pgsclip.export.safetensors_folder"),
        Format("onnx", "onnx", _ONNX, "pgsclip.export.onnx_folder", ("onnx", "onnxscript", "onnxruntime"), "onnx"),
    )
}


def find_format(name: str) -> Format:
    """Find a format by its name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"There is no format {name!r}.{did_you_mean(name, FORMATS)} There are {', '.join(FORMATS)}.")
    return FORMATS[name]


def write_json(path: Path, content: object) -> None:
    """Write a file of the exported folder, for people to read as well."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_tokenizer(opened: Opened, folder: Path) -> None:
    """Save the tokenizer of a model that does not read CLIP's vocabulary; CLIP's own comes with every library."""
    save = getattr(opened.tokenizer, "save_pretrained", None)
    if save is not None:
        save(str(folder))
