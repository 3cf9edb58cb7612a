"""Patch embeddings of a trained model, so that masks are drawn as its next training step would choose them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from pgsclip.config.defaults import BACKGROUND
from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.grid import Grid
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.plugin_states import read_states
from pgsclip.models.preprocessing import fit_transform
from pgsclip.models.run_weights import CHECKPOINTS, WEIGHTS, describe_named, find_run_weights
from pgsclip.models.source import find_beside
from pgsclip.plugins import MASKERS
from pgsclip.viz.pictures import Picture, read_image


class Embedder(NamedTuple):
    """A model's image tower up to its first block, and what maskers keep beside it."""

    built: BuiltModel
    states: Mapping[str, dict[str, Tensor]] = MappingProxyType({})
    """Of maskers with a model of their own: name → state, as the checkpoint has it."""
    finding: str | None = None
    """A sentence that the user should read: damaged checkpoints that were passed over, or named."""

    def open(self, path: Path, background: str = BACKGROUND) -> Picture:
        """An image file as the model is shown it whole, with its embeddings of the patches.

        Raises:
            ImageError: the file is missing, or no image.
        """
        image = fit_transform(self.built.preprocess)(read_image(path, background))
        side = self.built.image_tower.patch_size[0]
        grid = Grid(image.height // side, image.width // side, side)
        image = image.crop((0, 0, grid.columns * side, grid.rows * side))  # the patch convolution sees no more
        mean, std = (torch.tensor(self.built.preprocess[name]).reshape(3, 1, 1) for name in ("mean", "std"))
        pixels = (to_tensor(image) - mean) / std
        return self(Picture(path.name, image, pixels.unsqueeze(0), grid))

    @torch.no_grad()
    def __call__(self, picture: Picture) -> Picture:
        """The picture with the model's embeddings of its patches."""
        _, patches = self.built.image_tower.embed(picture.pixels)
        return picture._replace(embeddings=patches.float())

    def start(self, handle: MaskerHandle) -> None:
        """Give a masker that looks with a model of its own the one of the checkpoint: its own, or a copy of the tower.

        Raises:
            MaskerError: its state in the checkpoint does not fit.
        """
        handle.start(self.built.image_tower, self.states.get(handle.name.split()[0]))


def open_embedder(path: Path, model: str | ModelConfig | None) -> Embedder:
    """The model of a run folder (its last checkpoint), of one checkpoint, or of a weights file.

    Args:
        model: architecture; a run folder knows its own.

    Raises:
        ModelError: nothing there, weights without a known architecture, or a model that does not fit.
        ConfigError: the run's config.yaml is not valid.
    """
    weights, finding = _weights(path)
    config = ModelConfig(name=model) if isinstance(model, str) else model or _config_beside(weights)
    built = build_model(config.model_copy(update={"pretrained": str(weights)}), seed=0, loss_has_bias=False)
    height, width = built.image_tower.patch_size
    if height != width:
        raise ModelError(f"{config.name!r} has patches of {height} x {width}; pictures are drawn for square ones only.")
    built.model.eval()
    return Embedder(built, read_states(weights.parent).get(MASKERS, {}), finding)


def _weights(path: Path) -> tuple[Path, str | None]:
    """The weights file that is meant, and what the user should know about it."""
    if (path / CHECKPOINTS).is_dir():
        return find_run_weights(path)
    weights = path if path.is_file() else path / WEIGHTS
    if not weights.is_file():
        raise ModelError(
            f"There is no checkpoint in {path}: expected a run folder with {CHECKPOINTS}/step-…/{WEIGHTS}, "
            f"one of those folders, or a weights file."
        )
    return weights, describe_named(weights)


def _config_beside(weights: Path) -> ModelConfig:
    """What the run or the description beside a weights file says, at the size that the model had then."""
    found = find_beside(weights)
    if found is None:
        raise ModelError(
            f"{weights} does not say which architecture it holds. Give --model NAME, or --checkpoint a run folder."
        )
    return ModelConfig(name=found.architecture, image_size=found.image_size, preprocess=found.preprocess)
