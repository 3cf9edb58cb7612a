"""How an image is made fit for a model, as open_clip describes it: resizing, mean and deviation of its channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from pgsclip.config.schema import PreprocessConfig
from pgsclip.errors import ModelError

Preprocess = Mapping[str, Any]
"""open_clip's `preprocess_cfg`, or a part of it: mean, std, resize_mode, interpolation, fill_color; the size is the
model's own."""
FIELDS = tuple(PreprocessConfig.model_fields)
DEFAULT: Preprocess = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
    "resize_mode": "shortest",
    "interpolation": "bicubic",
    "fill_color": 0,
}
"""OpenAI's, which open_clip takes where nobody says otherwise."""


def read_preprocess(given: Preprocess, place: str) -> PreprocessConfig:
    """Check a `preprocess_cfg` that a folder or a tag holds; what it leaves out stays None.

    Args:
        place: where it was found, for the sentence.

    Raises:
        ModelError: a value that open_clip's transform does not know.
    """
    found = {name: given[name] for name in FIELDS if given.get(name) is not None}
    for name in ("mean", "std"):
        if isinstance(found.get(name), int | float):
            found[name] = (found[name],) * 3
    if found.get("interpolation") == "random":  # of training; whole images are then resized with the bicubic filter
        found["interpolation"] = "bicubic"
    try:
        return PreprocessConfig.model_validate(found)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise ModelError(
            f"{place} describes its preprocessing with {name} {found[name]!r}, which is not known: "
            f"{error.errors()[0]['msg']}."
        ) from None


def overlaid(*layers: PreprocessConfig | None) -> PreprocessConfig:
    """The first value that is given of each field, the most important layer first."""
    found: dict[str, Any] = {}
    for layer in reversed(layers):
        found |= {} if layer is None else layer.model_dump(exclude_none=True)
    return PreprocessConfig(**found)


def completed(config: PreprocessConfig) -> PreprocessConfig:
    """With OpenAI's values for what is missing."""
    return overlaid(config, PreprocessConfig(**DEFAULT))


def attach(model: nn.Module, config: PreprocessConfig) -> dict[str, Any]:
    """Write what is given over open_clip's description in the model, which then holds all of it, the size included."""
    known = open_clip.get_model_preprocess_cfg(model)
    given = {**DEFAULT, **{key: value for key, value in known.items() if value is not None}}
    found = {
        key: tuple(value) if isinstance(value, list) else value  # what was read from a file, as what was not
        for key, value in {**given, **config.model_dump(exclude_none=True)}.items()
    }
    open_clip.model.set_model_preprocess_cfg(model, found)
    return found


def eval_transform(preprocess: Preprocess) -> Callable[[Image.Image], Tensor]:
    """PIL image → the model's pixels (3, H, W), resized and normalised, with no chance in it."""
    transform: Callable[[Image.Image], Tensor] = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
    return transform


def fit_transform(preprocess: Preprocess) -> Callable[[Image.Image], Image.Image]:
    """The first half of `eval_transform`: PIL image → RGB image of the model's size, for a person to look at."""
    steps: Any = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
    *fit, _, _ = steps.transforms  # the last two make numbers of it and normalise them

    def fitted(image: Image.Image) -> Image.Image:
        for step in fit:
            image = step(image)
        return image

    return fitted


def describe(preprocess: Preprocess) -> str:
    """How images are made fit, for a person: `24 x 24, longest on 77, bilinear, mean 0.5, deviation 0.5`."""
    size, mode = preprocess["size"], preprocess["resize_mode"]
    height, width = (size, size) if isinstance(size, int) else size
    padded = f" on {preprocess['fill_color']}" if mode == "longest" else ""
    mean, std = (_numbers(preprocess[name]) for name in ("mean", "std"))
    return f"{height} x {width}, {mode}{padded}, {preprocess['interpolation']}, mean {mean}, deviation {std}"


def _numbers(given: Sequence[float]) -> str:
    return f"{given[0]:g}" if len(set(given)) == 1 else " ".join(f"{one:.3g}" for one in given)
