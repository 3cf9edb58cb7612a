"""The plugin contract of auxiliary losses: terms that are added to the contrastive one, with weights of their own.

A term works in two halves, so that a batch may be worked off in parts and still have the gradient of the whole:
`features` looks at each image by itself, inside the model's forward pass, and may have trained weights; the call then
sees the features of all images together and has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.config.params import PluginParams


class Sizes(NamedTuple):
    """Of the model that a term is added to."""

    width: int
    """W, of the image tower's state before the projection."""
    vocabulary: int
    """Token ids are below it."""
    views: int
    """V, of each image."""


class Seen(NamedTuple):
    """What the towers made of B pairs with V views of each image, as they were trained on: masked."""

    images: Float[Tensor, "B V E"]
    """Normalised features."""
    pooled: Float[Tensor, "B V W"]
    """What is projected to the features."""
    texts: Float[Tensor, "B E"]
    """Normalised features."""
    tokens: Int[Tensor, "B N"]
    """Token ids of the whole captions: start, words, end of text (the largest id), zeros."""
    masker: Float[Tensor, "B V F"] | None
    """What a model of the masker's own made of the whole images, detached; None where the masker has none."""


@runtime_checkable
class AuxiliaryLoss(Protocol):
    """A term: an `nn.Module`, built as `cls(cls.Params(**params), sizes)` under a seed of the run.

    Its parameters are trained by the run's optimiser and saved, and its buffers are saved. Weights stand in submodules
    that `features` calls, never in the root. It may have `observe(*, progress)`, called after every step, to change
    buffers, such as a mean of weights.
    """

    Params: ClassVar[type[PluginParams]]
    fewest_views: ClassVar[int]
    """Views of an image that the term compares."""
    wants_masker_features: ClassVar[bool]
    """Whether it needs `Seen.masker`."""

    def features(self, seen: Seen) -> dict[str, Tensor]:
        """What is kept of each image: tensors whose first dimension is B. No image's row depends on the others,
        except through the statistics of a batch norm.
        """

    def __call__(self, features: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """The term, weighted. Its gradient, averaged over processes, is that of the whole batch."""
