"""`pgsclip.masker("pgs").keep(images)`: a masker for anybody's own code, without the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import torch
from torch import Tensor

from pgsclip import plugins
from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.grid import Grid
from pgsclip.masking.contract import Masker, MaskerWithModel, MaskInputs, MaskScores, Vision
from pgsclip.masking.maskers.none import KeepAll
from pgsclip.masking.pixels import patchify
from pgsclip.masking.registry import build_masker
from pgsclip.masking.scoring import Scorer, needs_model
from pgsclip.masking.selection import refuse_range, select, select_each


class MaskerHandle:
    """A named masker that takes images and gives the patches to keep."""

    def __init__(self, name: str, masker: Masker) -> None:
        self.name = name
        self.masker = masker
        self._scorer = Scorer(name.split()[0], masker)
        self._needs_model = needs_model(masker)

    def start(self, vision: Vision, state: Mapping[str, Tensor] | None = None) -> None:
        """Give a masker that looks with a model of its own a tower, and its state from a checkpoint; others need none.

        Raises:
            MaskerError: the state does not fit.
        """
        if isinstance(self.masker, MaskerWithModel):
            self.masker.start(vision)
            if state is not None:
                plugins.load_state(plugins.MASKERS, self._scorer.name, self.masker, state, MaskerError)
            self._needs_model = False

    @property
    def lacks(self) -> str | None:
        """A sentence about what the masker still needs before it can score; None when that is nothing."""
        if not self._needs_model:
            return None
        return (
            f"The masker {self.name!r} looks with a copy of the model that is trained, and there is none here. "
            f"Give a checkpoint (viz-mask --checkpoint RUN), or a tower to `start`."
        )

    @property
    def hides_nothing(self) -> bool:
        """Whether every patch is shown, whatever ratio is asked for."""
        return isinstance(self.masker, KeepAll)

    def score(self, inputs: MaskInputs) -> MaskScores:
        """Score the patches of a batch.

        Raises:
            MaskerError: it needs a model first, or breaks its contract.
        """
        if self.lacks:
            raise MaskerError(self.lacks)
        return self._scorer(inputs)

    def check_ratio(self, ratio: float | tuple[float, float] | str) -> Ratio:
        """Return the share to remove, as far as this masker can: `none` removes nothing.

        Raises:
            MaskerError: a ratio outside [0, 1), or a range for a masker that cannot choose.
        """
        try:
            share = Ratio.parse(ratio)
        except ValueError as error:
            raise MaskerError(f"ratio: {error}.") from None
        if self.hides_nothing:
            return Ratio(0.0, 0.0)
        if share.is_range and not self.masker.chooses_ratio:
            refuse_range(self.name, share)
        return share

    @overload
    def keep(
        self,
        images: Tensor,
        patch_size: int = ...,
        ratio: float = ...,
        seed: int = ...,
        *,
        embeddings: Tensor | None = ...,
        progress: float = ...,
    ) -> Tensor: ...

    @overload
    def keep(
        self,
        images: Tensor,
        patch_size: int = ...,
        ratio: tuple[float, float] | str = ...,
        seed: int = ...,
        *,
        embeddings: Tensor | None = ...,
        progress: float = ...,
    ) -> Tensor | list[Tensor]: ...

    @torch.no_grad()
    def keep(
        self,
        images: Tensor,
        patch_size: int = 16,
        ratio: float | tuple[float, float] | str = 0.5,
        seed: int = 0,
        *,
        embeddings: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor | list[Tensor]:
        """Choose the patches to show: their indices, row by row from the top left.

        Nothing global is touched; the same seed gives the same patches.

        Args:
            images: (B, 3, H, W) floating point, normalised as open_clip does; H and W multiples of `patch_size`.
            patch_size: side of a patch in pixels.
            ratio: share to remove; a range `(0.3, 0.5)` or `"0.3:0.5"` lets the masker choose per image. The masker
                `none` removes nothing, whatever is given.
            seed: of all chance in the masks.
            embeddings: (B, L, D) of a model, before its first block; raw pixel patches stand in when not given.
            progress: share of the training run that is done, in [0, 1]; some maskers trust embeddings more with it.

        Returns:
            (B, K) int64, ascending; for a range a list of B tensors (K_i,).

        Raises:
            MaskerError: images of another form, a ratio outside [0, 1), or a range for a masker that cannot choose.
        """
        grid = _check_grid(images, patch_size)
        share = self.check_ratio(ratio)
        generator = torch.Generator(images.device).manual_seed(seed)
        patches = patchify(images, grid) if embeddings is None else _check_embeddings(embeddings, images, grid)
        if not 0 <= progress <= 1:
            raise MaskerError(f"progress: {progress} is outside [0, 1], the share of the run that is done.")
        scores = self.score(MaskInputs(images, patches, grid, progress, generator))
        if share.is_range:
            return select_each(scores, share, generator)
        return select(scores.keep.float(), share.high, generator)


def masker(name: str, **params: Any) -> MaskerHandle:
    """Build a registered masker (or `package.module:Class`) with its parameters.

    Raises:
        PluginError: no such masker. MaskerError: a parameter is unknown or wrong.
    """
    return MaskerHandle(name, build_masker(name, params))


def _check_embeddings(embeddings: Tensor, images: Tensor, grid: Grid) -> Tensor:
    if embeddings.ndim != 3 or embeddings.shape[:2] != (len(images), grid.patches):
        raise MaskerError(
            f"Embeddings must have the shape (B, L, D) = ({len(images)}, {grid.patches}, any), one for each patch and "
            f"none for class tokens; given: {tuple(embeddings.shape)}."
        )
    return embeddings


def _check_grid(images: Tensor, patch_size: int) -> Grid:
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape or not images.is_floating_point():
        raise MaskerError(
            f"Images must be a floating-point tensor (B, 3, H, W) with at least one image, normalised as open_clip "
            f"does; given: {tuple(images.shape)} {images.dtype}."
        )
    if not torch.isfinite(images).all():
        raise MaskerError("The images hold NaN or infinite values; look at how they were loaded and normalised.")
    height, width = images.shape[2:]
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise MaskerError(
            f"Images of {height} x {width} pixels cannot be cut into patches of {patch_size}; "
            f"resize or crop them to a multiple of it."
        )
    return Grid(height // patch_size, width // patch_size, patch_size)
