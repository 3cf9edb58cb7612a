"""The plugin contract: a masker scores patches; everything else is written once, outside of it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor


class MaskScores(NamedTuple):
    """What a masker says about a batch of B images with L patches each."""

    keep: Float[Tensor, "B L"]
    """Higher = keep. Any finite values, only their order within an image counts."""
    ratio: Float[Tensor, " B"] | None = None
    """Share of patches to remove per image, when the masker decides it itself; clamped to the range of the run."""


class MaskerParams(BaseModel):
    """Base of every masker's parameters: frozen, no unknown keys, field docstrings are the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@runtime_checkable
class Masker(Protocol):
    """A strategy. Built as `cls(cls.Params(**params))`; has no other input than this call.

    Args of the call:
        images: (B, 3, H, W), normalised as the tower gets them, H and W multiples of the patch size.
        patches: (B, L, D) patch embeddings after the position embedding and before the first block, without class
            token, detached, row by row from the top left. L = rows x columns; `pixels.grid_shape` tells which.
        progress: share of the run that is done, in [0, 1].
        generator: on the device of `images`; the only source of chance.
    """

    Params: ClassVar[type[MaskerParams]]
    chooses_ratio: ClassVar[bool]
    """Whether the scores carry a ratio per image, so that a range such as 0.3:0.5 can be given."""

    def __call__(
        self,
        images: Float[Tensor, "B 3 H W"],
        patches: Float[Tensor, "B L D"],
        *,
        progress: float,
        generator: torch.Generator,
    ) -> MaskScores: ...
