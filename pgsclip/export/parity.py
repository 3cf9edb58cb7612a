"""Parity of an exported model with ours: the same pictures and captions through both, from the file on.

Each library makes images fit and cuts captions into tokens by itself, so that preprocessing and tokenizer are part of
the comparison. Cosines are what a CLIP is used for; 0.9999 leaves room for another resizing, and for nothing else.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pgsclip.data.decoding import read_image
from pgsclip.data.generated import HELD_OUT, scene
from pgsclip.errors import ModelError
from pgsclip.models.opening import Opened

LEAST_COSINE = 0.9999
_SAMPLES = 8


class Embeddings(NamedTuple):
    """Embeddings of the same pictures and captions, each of length 1."""

    images: Float[Tensor, "B E"]
    texts: Float[Tensor, "T E"]


class Parity(NamedTuple):
    """Agreement of two models' embeddings."""

    image_cosine: float
    """Smallest cosine of all pictures."""
    text_cosine: float
    """Smallest cosine of all captions."""
    largest_difference: float
    """Largest difference of any number in any embedding."""

    def describe(self) -> str:
        """Describe the agreement in words."""
        return (
            f"smallest cosine {self.image_cosine:.7f} for images and {self.text_cosine:.7f} for texts, largest "
            f"difference {self.largest_difference:.1e}"
        )


def draw_samples(size: tuple[int, int]) -> tuple[list[Image.Image], list[str]]:
    """Draw pictures that have to be resized and cropped to (height, width), and captions, some longer than what fits.

    What is cropped is an even number of pixels: of an odd one, transformers takes half a pixel more on the left and
    torchvision on the right, so that those pictures never agree to the last digits, OpenAI's own models included.
    """
    scenes = [scene(HELD_OUT, number, side=160) for number in range(_SAMPLES)]
    height, width = size
    images = [
        _from_file(Image.fromarray(one.image).resize(((2 + n % 2) * (width + 4 * n), (2 + n % 2) * height)))
        for n, one in enumerate(scenes)
    ]
    texts = [one.caption for one in scenes]
    return images, [*texts, "Two cats' café, no. 42: it's RED & blue!", " ".join(texts * 4)]


def read_probe(content: bytes) -> Image.Image:
    """Read an encoded picture as training reads one."""
    return read_image(content)


def _from_file(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "PNG")
    return read_probe(content.getvalue())


def draw_samples_for(opened: Opened) -> tuple[list[Image.Image], list[str]]:
    """Draw samples for the size of a model's images."""
    size = opened.preprocess_cfg["size"]
    return draw_samples((size, size) if isinstance(size, int) else tuple(size))


def embed(opened: Opened, images: Sequence[Image.Image], texts: Sequence[str]) -> Embeddings:
    """Embed by open_clip, with a model that is open."""
    transform = image_transform_v2(PreprocessCfg(**opened.preprocess_cfg), is_train=False)
    return to_embeddings(
        *encode(opened.model, torch.stack([transform(image) for image in images]), opened.tokenizer(texts))
    )


@torch.no_grad()
def encode(model: torch.nn.Module, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the features of an open_clip model, all patches seen."""
    return model.encode_image(pixels), model.encode_text(tokens)  # type: ignore[operator]


def to_embeddings(images: Tensor, texts: Tensor) -> Embeddings:
    """Normalise features to embeddings."""
    return Embeddings(F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1))


def compare_embeddings(ours: Embeddings, theirs: Embeddings, form: str) -> Parity:
    """Measure the agreement.

    Args:
        form: name of the exported format.

    Raises:
        ModelError: not near enough.
    """
    found = Parity(
        F.cosine_similarity(ours.images, theirs.images).min().item(),
        F.cosine_similarity(ours.texts, theirs.texts).min().item(),
        max((one - other).abs().max().item() for one, other in zip(ours, theirs, strict=True)),
    )
    if not (found.image_cosine >= LEAST_COSINE and found.text_cosine >= LEAST_COSINE):  # so that NaN is not enough
        raise ModelError(
            f"The exported {form} model does not match the original ({found.describe()}; required: {LEAST_COSINE}), so "
            f"the export was discarded. Please report it with the versions of the libraries."
        )
    return found
