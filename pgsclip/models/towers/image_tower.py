"""Image towers that can be shown a part of their patches.

open_clip's own forward has no place for a choice per image, so an adapter drives the submodules of a tower in two
halves: `embed` up to the position embedding, `encode` from the first block on.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.bucketing import Visible
from pgsclip.errors import ModelError
from pgsclip.grid import Grid

Choose = Callable[[Tensor, Tensor, Grid], Visible]
"""(images, detached patches, their grid) → the patches that are shown."""


class Encoded(NamedTuple):
    """A batch as its tower encodes it, and the part of it that was shown."""

    features: Float[Tensor, "B E"]
    """Not normalised."""
    pooled: Float[Tensor, "B W"]
    """The state that was projected to the features."""
    patches_kept: float = 1.0
    """Mean share of patches that went through the blocks; from shapes, so nothing waits for the device."""
    visible: Visible | None = None
    """The choice of patches; None where every patch was shown."""


class ImageTower(nn.Module):
    """Adapter of one tower. Owns no parameters: the model that it drives stays where open_clip put it."""

    patch_size: tuple[int, int]
    image_size: tuple[int, int]
    refusal: str | None = None
    """Why this tower cannot hide patches; None where it can."""
    tower: nn.Module

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        # Hidden from nn.Module, or every weight would be in the state dict twice.
        object.__setattr__(self, "tower", tower)

    @abstractmethod
    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        """Prefix (class and register tokens) and patches, with position embedding, before the first block."""

    @abstractmethod
    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        """All blocks over the given patches, up to the state that is projected."""

    def pool_kept(
        self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"], keep: Int[Tensor, "B K"]
    ) -> Float[Tensor, "B W"]:
        """As `pool`, of the patches `keep` alone; towers whose blocks read positions need to know which these are."""
        return self.pool(prefix, patches)

    @abstractmethod
    def project(self, pooled: Float[Tensor, "B W"]) -> Float[Tensor, "B E"]:
        """Features of a pooled state."""

    @property
    @abstractmethod
    def width(self) -> int:
        """W, of the pooled state."""

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's layers, in order."""

    @abstractmethod
    def class_attention(self) -> Sequence[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        """Of each layer, the attention module and what tells from it and its input (B, P + K, D) where the class token
        looks: (B, h, P + K).

        Raises:
            ModelError: the tower has no class token, or an attention whose weights nobody tells.
        """

    def encode(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B E"]:
        """Features of the given patches."""
        return self.project(self.pool(prefix, patches))

    @abstractmethod
    def external_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""

    def forward(self, images: Float[Tensor, "B 3 H W"], choose: Choose | None = None) -> Encoded:
        """Encode images, in batch order; without `choose` every patch is shown.

        Raises:
            ModelError: `choose` is given and the tower's patches are not square.
        """
        prefix, patches = self.embed(images)
        if choose is None:
            pooled = self.pool(prefix, patches)
            return Encoded(self.project(pooled), pooled)
        visible = choose(self.crop(images), patches.detach(), self.grid(images))
        parts = [
            self.pool_kept(prefix[rows], take_patches(patches, rows, kept), kept) for rows, kept in visible.buckets
        ]
        pooled = restore_batch_order(parts, [rows for rows, _ in visible.buckets])
        shown = sum(kept.numel() for _, kept in visible.buckets)
        return Encoded(self.project(pooled), pooled, shown / (patches.shape[0] * patches.shape[1]), visible)

    @torch.no_grad()
    def attend(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N h L"]]:
        """The pooled state of whole images, and where their class token looked in N layers of h heads; no gradients.

        Both float32; a row of attention sums to 1 together with its part for the prefix. Images may have another size
        than the tower's own. The attention is computed beside the tower's, from the same inputs: a row per head and
        layer, and not the whole matrices that fused kernels never write down.

        Raises:
            ModelError: the tower has no class token, or an attention whose weights nobody tells.
        """
        rows: list[Tensor] = []
        layers = self.class_attention()

        def watch(tell: Callable[[Any, Tensor], Tensor]) -> Any:
            return lambda module, inputs: rows.append(tell(module, inputs[-1]))  # the values: of all tokens

        handles = [module.register_forward_pre_hook(watch(tell)) for module, tell in layers]
        try:
            prefix, patches = self.embed(images)
            pooled = self.pool(prefix, patches)
        finally:
            for handle in handles:
                handle.remove()
        return pooled.float(), torch.stack(rows, dim=1)[..., prefix.shape[1] :]

    def copy(self) -> ImageTower:
        """The same tower with weights of its own that nobody trains, in evaluation mode."""
        return type(self)(copy.deepcopy(self.tower).requires_grad_(False).eval())

    def grid(self, images: Float[Tensor, "B 3 H W"]) -> Grid:
        """The grid of patches that these images are cut into.

        Raises:
            ModelError: the tower's patches are not square, and maskers know square ones only.
        """
        down, across = self.patch_size
        if down != across:
            raise ModelError(
                f"This image tower cuts images into patches of {down} x {across} pixels, and maskers know square "
                f"patches only. Take a model with square patches, such as ViT-B-16, or the masker none."
            )
        return Grid(images.shape[2] // down, images.shape[3] // across, down)

    def crop(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
        """Without the pixels right and below that the patch convolution does not reach either."""
        down, across = self.patch_size
        height, width = images.shape[2] // down * down, images.shape[3] // across * across
        return images[:, :, :height, :width]


def class_token_attention(query: Float[Tensor, "B h d"], keys: Float[Tensor, "B N h d"]) -> Float[Tensor, "B h N"]:
    """Softmax, in float32, of the class token's query with all keys, head by head."""
    logits: Tensor = torch.einsum("bhd,bnhd->bhn", query, keys).float()
    scale: float = query.shape[-1] ** -0.5
    return (logits * scale).softmax(dim=-1)


def resize_positions(
    positions: Float[Tensor, "L D"], was: tuple[int, int], now: tuple[int, int]
) -> Float[Tensor, "K D"]:
    """Position embeddings of another grid, as open_clip resizes them when a model is loaded at another size."""
    grid = positions.reshape(*was, -1).permute(2, 0, 1).unsqueeze(0).float()
    other: Tensor = F.interpolate(grid, now, mode="bicubic", antialias=True)[0].flatten(1).mT
    return other.to(positions.dtype)


def take_patches(
    patches: Float[Tensor, "B L D"], rows: Int[Tensor, " b"], keep: Int[Tensor, "b K"]
) -> Float[Tensor, "b K D"]:
    """`patches[rows[i], keep[i]]` for every row, each of which is taken once and none of its patches twice."""
    taken: Tensor = _Take.apply(patches, keep + patches.shape[1] * rows.unsqueeze(1))
    return taken


class _Take(torch.autograd.Function):
    """Patches by their place in the batch. As all are different, gradients are written and need not be added up."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape = patches.shape
        taken = patches.reshape(-1, patches.shape[2]).index_select(0, places.flatten())
        return taken.reshape(*places.shape, patches.shape[2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        batch, count, width = ctx.shape
        whole = gradient.new_zeros(batch * count, width)
        whole.index_copy_(0, places.flatten(), gradient.reshape(-1, width))
        return whole.reshape(ctx.shape), None


def restore_batch_order(parts: list[Tensor], rows: list[Tensor]) -> Tensor:
    """Undo the sorting into buckets: row `rows[b][i]` of the result is `parts[b][i]`."""
    if len(parts) == 1 and parts[0].shape[0] == 0:
        return parts[0]
    order = torch.cat(rows)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return torch.cat(parts)[inverse.to(parts[0].device)]
