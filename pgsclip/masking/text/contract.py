"""The plugin contract of text maskers: score the tokens of captions; the best stay, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.contract import MaskerParams


@dataclass(frozen=True, eq=False)
class TextMaskInputs:
    """Everything a text masker may look at: B captions of at most N tokens."""

    ids: Int[Tensor, "B N"]
    """Token ids: start, words, end of text, zeros."""
    lengths: Int[Tensor, " B"]
    """Tokens up to and including the end of text."""
    progress: float
    """Share of the run that is done, in [0, 1]."""
    generator: torch.Generator
    """On the device of `ids`; the only source of chance."""

    def uniform(self) -> Float[Tensor, "B N"]:
        """Draw a number in [0, 1) for each token, from `generator`."""
        return torch.rand(self.ids.shape, generator=self.generator, device=self.ids.device)


@runtime_checkable
class TextMasker(Protocol):
    """A strategy. Built as `cls(cls.Params(**params), counts)`.

    Args of the constructor:
        - counts: (V,) int64, how often each token stands in the training captions, where `needs_counts`; else None.

    The call returns (B, N) scores, higher = keep. Only the order of a caption's own words counts: start and end always
    stay, and what follows the end never does.
    """

    Params: ClassVar[type[MaskerParams]]
    needs_counts: ClassVar[bool]
    """Whether a pass over the captions is wanted before the run."""

    def __init__(self, params: MaskerParams, counts: Int[Tensor, " V"] | None) -> None: ...

    def __call__(self, inputs: TextMaskInputs) -> Float[Tensor, "B N"]:
        """Score every token of every caption."""
