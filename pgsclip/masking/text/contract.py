"""The plugin contract of text maskers: score the tokens of captions; the best stay, in their order."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.contract import MaskerParams


@runtime_checkable
class TextMasker(Protocol):
    """A strategy. Built as `cls(cls.Params(**params), counts)`.

    Args of the constructor:
        - counts: (V,) int64, how often each token stands in the training captions, where `needs_counts`; else None.

    Args of the call:
        - texts: (B, N) token ids: start, words, end of text, zeros.
        - lengths: (B,) tokens up to and including the end of text.
        - progress: share of the run that is done, in [0, 1].
        - generator: on the device of `texts`; the only source of chance.

    Returns (B, N) scores, higher = keep. Only the order of a caption's own words counts: start and end always stay,
    and what follows the end never does.
    """

    Params: ClassVar[type[MaskerParams]]
    needs_counts: ClassVar[bool]
    """Whether a pass over the captions is wanted before the run."""

    def __init__(self, params: MaskerParams, counts: Int[Tensor, " V"] | None) -> None: ...

    def __call__(
        self,
        texts: Int[Tensor, "B N"],
        lengths: Int[Tensor, " B"],
        *,
        progress: float,
        generator: torch.Generator,
    ) -> Float[Tensor, "B N"]: ...
