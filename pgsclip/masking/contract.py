"""The plugin contract: a masker scores patches; everything else is written once, outside of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgsclip.config.params import PluginParams
from pgsclip.grid import Grid


@dataclass(frozen=True, eq=False)
class MaskInputs:
    """Everything a masker may look at: a batch of B images, each cut into L patches."""

    images: Float[Tensor, "B 3 H W"]
    """Pixels, normalised as the tower gets them; H and W are multiples of the patch size."""
    patches: Float[Tensor, "B L D"]
    """Patch embeddings after the position embedding and before the first block, without class token, detached; row by
    row from the top left."""
    grid: Grid
    """Rows and columns of the patches and the side of one in pixels; L = rows x columns."""
    progress: float
    """Share of the run that is done, in [0, 1]."""
    generator: torch.Generator
    """On the device of `images`; the only source of chance."""

    def uniform(self) -> Float[Tensor, "B L"]:
        """Draw a number in [0, 1) for each patch, from `generator`."""
        return torch.rand(self.patches.shape[:2], generator=self.generator, device=self.patches.device)


class MaskScores(NamedTuple):
    """What a masker says about a batch of B images with L patches each."""

    keep: Float[Tensor, "B L"]
    """Higher = keep. Any finite values, only their order within an image counts."""
    ratio: Float[Tensor, " B"] | None = None
    """Share of patches to remove per image, when the masker decides it itself; clamped to the range of the run."""
    features: Float[Tensor, "B F"] | None = None
    """What a model of the masker's own makes of the whole images, for auxiliary losses that compare with it."""


class MaskerParams(PluginParams):
    """Base of every masker's parameters: frozen, no unknown keys, field docstrings are the help."""


@runtime_checkable
class Masker(Protocol):
    """A strategy. Built as `cls(cls.Params(**params))`; has no other input than this call."""

    Params: ClassVar[type[MaskerParams]]
    chooses_ratio: ClassVar[bool]
    """Whether the scores carry a ratio per image, so that a range such as 0.3:0.5 can be given."""

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        """Score every patch of every image."""


@runtime_checkable
class Vision(Protocol):
    """The image tower, as a masker with a model of its own sees it."""

    patch_size: tuple[int, int]
    tower: nn.Module
    """Its weights. Read them in `start` and `observe` only: between, they may be spread over processes."""

    def copy(self) -> Vision:
        """The same tower with weights of its own that nobody trains, in evaluation mode."""

    def attend(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N h L"]]:
        """What it makes of whole images, before the projection, and where its class token looked: in each of N layers
        and h heads, a row that sums to 1 together with its part for the prefix tokens. Without gradients, float32.
        Images may have another size than the tower's own: positions are resized.
        """


@runtime_checkable
class MaskerWithModel(Protocol):
    """A masker that looks with a model of its own, such as A-CLIP's mean teacher; besides, it is a Masker.

    `start` comes first: before the first step, and before `load_state_dict` when a run goes on or masks are drawn from
    a checkpoint. Then `observe` comes after every step. All processes call both alike.
    """

    def start(self, vision: Vision) -> None:
        """Begin with the tower as it is now."""

    def observe(self, vision: Vision, *, progress: float) -> None:
        """The weights have changed; `progress` is the share of the run that is done."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that the scores depend on beside the call; saved with every checkpoint."""

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Go on with what `state_dict` gave; raises RuntimeError, KeyError or ValueError when that does not fit."""
