"""Two encoders for onnxruntime: `image_encoder.onnx` and `text_encoder.onnx`, any number of images or texts at once.

Their embeddings are normalised. Tokenizer and image processor lie beside them in the form of transformers; texts are
padded with zeros, as open_clip does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.errors import ModelError
from pgsclip.export.clip_tokenizer import write_tokenizer
from pgsclip.export.formats import write_json
from pgsclip.export.parity import Embeddings, to_embeddings
from pgsclip.models.description import CONFIG
from pgsclip.models.opening import Opened
from pgsclip.models.transformers_config import to_preprocessor

_OPSET = 18
_ONE_FILE = 1_500_000_000
"""Bytes of weights that fit into one file: ONNX allows 2 GiB, larger weights lie beside it."""


class _Encoder(nn.Module):
    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, given: Tensor) -> Tensor:
        return F.normalize(getattr(self.model, self.method)(given), dim=-1)


def write(opened: Opened, folder: Path) -> None:
    """Write both encoders.

    Raises:
        ModelError: torch cannot write the model as ONNX, or its tokenizer is not CLIP's.
    """
    if not isinstance(opened.tokenizer, SimpleTokenizer):
        raise ModelError("Export to onnx knows CLIP's own tokenizer only, and this model reads another vocabulary.")
    height, width = cast(Any, opened.model).visual.image_size
    tokens = opened.tokenizer(["one caption", "and another"])
    _write(_Encoder(opened.model, "encode_image"), torch.zeros(2, 3, height, width), "images", folder)
    _write(_Encoder(opened.model, "encode_text"), tokens, "texts", folder)
    write_json(folder / "preprocessor_config.json", to_preprocessor(opened.preprocess_cfg))
    write_tokenizer(opened.tokenizer, folder, tokens.shape[1])
    scale = float(cast(Any, opened.model).logit_scale.detach().exp())
    described = {"model_cfg": opened.model_cfg, "preprocess_cfg": dict(opened.preprocess_cfg)}
    write_json(folder / CONFIG, {"context_length": tokens.shape[1], "exp_logit_scale": scale, **described})


def read_back(folder: Path, images: Sequence[Image.Image], texts: Sequence[str]) -> Embeddings:
    """Embed by onnxruntime on the CPU, in batches of another size; pixels and tokens are open_clip's."""
    import json

    import onnxruntime

    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    transform = image_transform_v2(PreprocessCfg(**config["preprocess_cfg"]), is_train=False)
    pixels = torch.stack([transform(image) for image in images])
    tokens = open_clip.SimpleTokenizer(context_length=config["context_length"])(texts)
    found = []
    for name, given in (("images", pixels), ("texts", tokens)):
        session = onnxruntime.InferenceSession(_file(folder, name), providers=["CPUExecutionProvider"])
        rows = [session.run(None, {name: part.numpy()})[0] for part in (given[:1], given[1:])]
        found.append(torch.from_numpy(np.concatenate(rows)))
    return to_embeddings(*found)


def _write(encoder: _Encoder, example: Tensor, name: str, folder: Path) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in encoder.state_dict().values())
    try:
        program: Any = torch.onnx.export(
            encoder.eval(),
            (example,),
            dynamo=True,
            input_names=[name],
            output_names=["embeddings"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=_OPSET,
            verbose=False,
        )
        program.save(_file(folder, name), external_data=size > _ONE_FILE)
    except Exception as error:  # the exporter's own kinds, by what the model holds
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"torch cannot write the encoder of {name} as ONNX: {reason}") from None


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.removesuffix('s')}_encoder.onnx"
