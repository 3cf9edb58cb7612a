"""Which adapter drives which image tower."""

from __future__ import annotations

from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import nn

from pgsclip.errors import ModelError
from pgsclip.models.towers.image_tower import ImageTower
from pgsclip.models.towers.open_clip_vit import NativeTower
from pgsclip.models.towers.timm_vit import TimmTower
from pgsclip.models.towers.transformers_vit import TransformersTower, is_clip_vision


def adapt(visual: nn.Module) -> ImageTower:
    """The adapter for an image tower: open_clip's ViT, timm's, or transformers' CLIPVisionModel.

    Raises:
        ModelError: a tower that has no patches to hide.
    """
    if isinstance(visual, VisionTransformer):
        return NativeTower(visual)
    trunk = getattr(visual, "trunk", visual)
    if isinstance(visual, TimmModel | TimmVisionTransformer) and isinstance(trunk, TimmVisionTransformer):
        return TimmTower(visual)
    if is_clip_vision(visual):
        return TransformersTower(visual)
    inner = next((name for name in ("visual", "vision_model") if hasattr(visual, name)), None)
    hint = f" It seems to be a whole model: give its .{inner}." if inner else " Take a ViT model, such as ViT-B-16."
    raise ModelError(
        f"The image tower {type(trunk).__name__} cannot hide patches: only ViTs can, open_clip's own, timm's "
        f"VisionTransformer and transformers' CLIPVisionModel.{hint}"
    )
