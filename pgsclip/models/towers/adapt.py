"""Which adapter drives which image tower."""

from __future__ import annotations

from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import nn

from pgsclip.errors import ModelError
from pgsclip.models.towers.image_tower import ImageTower
from pgsclip.models.towers.open_clip_vit import NativeTower
from pgsclip.models.towers.timm_eva import EvaTower
from pgsclip.models.towers.timm_vit import TimmTower
from pgsclip.models.towers.transformers_vit import TransformersTower, is_clip_vision
from pgsclip.models.towers.whole_tower import WholeTower


def adapt(visual: nn.Module) -> ImageTower:
    """The adapter for an image tower: open_clip's ViT, timm's ViT or Eva, or transformers' CLIPVisionModel.

    Raises:
        ModelError: a tower that has no patches to hide.
    """
    if isinstance(visual, VisionTransformer):
        return NativeTower(visual)
    trunk = visual.trunk if isinstance(visual, TimmModel) else visual
    if isinstance(trunk, TimmVisionTransformer):
        return TimmTower(visual)
    if isinstance(trunk, Eva):
        return EvaTower(visual)
    if is_clip_vision(visual):
        return TransformersTower(visual)
    inner = next((name for name in ("visual", "vision_model") if hasattr(visual, name)), None)
    hint = f" It seems to be a whole model: give its .{inner}." if inner else " Take a ViT model, such as ViT-B-16."
    raise ModelError(
        f"The image tower {type(trunk).__name__} cannot hide patches: only ViTs can, open_clip's own, timm's "
        f"VisionTransformer and Eva, and transformers' CLIPVisionModel.{hint}"
    )


def adapt_or_whole(visual: nn.Module) -> ImageTower:
    """The adapter for any image tower; one that cannot hide patches is shown whole images."""
    try:
        return adapt(visual)
    except ModelError as error:
        return WholeTower(visual, str(error))
