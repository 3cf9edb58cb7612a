"""A masker on any ViT, for somebody else's training loop: `pgsclip.masked(vit, "pgs", ratio=0.5)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pgsclip.bucketing import PatchBucket
from pgsclip.config.defaults import MAX_PASSES, RATIO
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskerWithModel
from pgsclip.masking.masker_api import MaskerHandle, masker
from pgsclip.masking.patch_chooser import PatchChooser
from pgsclip.models.towers.adapt import adapt
from pgsclip.seeding import derive


class MaskedTower(nn.Module):
    """An image tower that sees what its masker keeps while it trains, and everything in evaluation mode.

    It owns the tower, whose weights and names stay as they were: `masked.parameters()` are the tower's, weights are
    saved as `tower.state_dict()`, `masked.train()` and `masked.eval()` reach it, and DDP wraps `masked`. Its plain
    attention and patch embedding take classes of pgsclip that compute the same; TorchScript and pickles of the whole
    tower want it as it was before.
    """

    chosen: list[PatchBucket]
    """Patches that the last call in training mode showed: rows of the batch (b,) and their patches (b, K), by bucket.
    """
    kept: float
    """Share of the patches that the last call showed, 1 in evaluation mode."""

    def __init__(
        self,
        tower: nn.Module,
        handle: MaskerHandle,
        ratio: float | tuple[float, float] | str,
        max_passes: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._adapter = adapt(tower)  # owns nothing
        self.tower = tower
        self.masker = handle
        # Whoever trains may have sharded the weights: each pass then gathers them, with all ranks, so all run as many.
        self._chooser = PatchChooser(handle.score, handle.check_ratio(ratio), max_passes, exactly=True)
        self._seed = seed
        self._calls = 0
        self.chosen, self.kept = [], 1.0
        handle.start(self._adapter)

    def forward(self, images: Tensor, *, progress: float = 0.0) -> Tensor:
        """Encode images (B, 3, H, W): (B, E), not normalised.

        Without a mask these are exactly the tower's own: `visual(images)` of open_clip, `vit(images)` of timm with its
        head, `pooler_output` or `image_embeds` of transformers.

        Args:
            progress: share of the training that is done, in [0, 1]; some maskers trust the embeddings more with it.

        Raises:
            MaskerError: the masker breaks its contract, or `progress` is no share.
        """
        if not 0 <= progress <= 1:
            raise MaskerError(f"progress: {progress} is outside [0, 1], the share of the run that is done.")
        if not self.training:
            self.chosen, self.kept = [], 1.0
            return self._adapter(images).features  # type: ignore[no-any-return]
        generator = torch.Generator(images.device).manual_seed(derive(self._seed, "masked", self._calls))
        self._calls += 1
        encoded = self._adapter(images, self._chooser.at(progress, generator))
        self.chosen, self.kept = encoded.visible.buckets, encoded.patches_kept
        features: Tensor = encoded.features
        return features

    def observe(self, *, progress: float) -> None:
        """Call after every step of the optimiser where the masker looks with a copy of the tower, as A-CLIP's does."""
        if isinstance(self.masker.masker, MaskerWithModel):
            self.masker.masker.observe(self._adapter, progress=progress)


def masked(
    tower: nn.Module,
    name: str,
    *,
    ratio: float | tuple[float, float] | str = RATIO,
    max_passes: int = MAX_PASSES,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
) -> MaskedTower:
    """Put a masker on an image tower.

    Args:
        tower: `model.visual` of open_clip (its own ViT or timm's), a timm VisionTransformer, or transformers'
            CLIPVisionModel, with or without projection.
        name: a registered masker, or `package.module:Class`.
        ratio: share of patches to remove; a range `(0.3, 0.5)` or `"0.3:0.5"` lets the masker choose per image.
        max_passes: with a range, the batch runs in this many passes (fewer for fewer images), cut where they pad least
            (docs/design.md).
        seed: of all chance in the masks; give each process its own.
        params: parameters of the masker.

    Raises:
        ModelError: a tower without patches to hide.
        PluginError: no such masker. MaskerError: a parameter or the ratio is wrong.
    """
    return MaskedTower(tower, masker(name, **(params or {})), ratio, max_passes, seed)
