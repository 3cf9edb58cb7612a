"""How much arithmetic a pair costs, counted on the model itself without computing it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pgsclip.bucketing import Bucket, PatchBucket, Visible
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel
from pgsclip.models.flop_counter import FlopCounter
from pgsclip.models.towers.adapt import adapt_or_whole
from pgsclip.models.towers.text_tower import TextTower

FORWARD_AND_BACKWARD = 3
"""Forward passes that both take: the backward pass multiplies twice what the forward pass does."""


class Flops(NamedTuple):
    """Forward pass of one pair, a multiplication and an addition counted as two."""

    image: int
    text: int


class Curve(NamedTuple):
    """The forward FLOPs of a tower by the length of its sequence: attention is quadratic, all else linear."""

    constant: float
    linear: float
    quadratic: float

    def at(self, length: float) -> float:
        """FLOPs of one sequence; a mean of several lengths gives nearly the mean of their FLOPs."""
        return self.constant + length * (self.linear + length * self.quadratic)

    def total(self, lengths: Tensor) -> float:
        """FLOPs of sequences of these lengths, (B,) on the CPU, together."""
        each = lengths.double()
        return self.constant * len(each) + self.linear * each.sum().item() + self.quadratic * each.square().sum().item()


class PairFlops(NamedTuple):
    """What a pair costs, at any number of kept patches and of tokens."""

    image: Curve
    text: Curve


def pair_flops(built: BuiltModel) -> PairFlops:
    """Count at three lengths, which tells a quadratic exactly; once for models of one shape, as it takes seconds.

    Raises:
        ModelError: a tower of this model cannot run without numbers.
    """
    shapes = tuple((name, tuple(weight.shape)) for name, weight in built.model.named_parameters())
    kind = (built.name, built.image_tower.image_size, built.context_length, shapes)
    if kind not in _counted:
        counter = _Counter(built)
        _counted[kind] = PairFlops(_through(counter.image, built.patches), _through(counter.text, built.context_length))
    return _counted[kind]


_counted: dict[Hashable, PairFlops] = {}


def count_flops(built: BuiltModel, *, kept_patches: int, text_length: int) -> Flops:
    """Count with `kept_patches` of an image in the blocks, and a caption of `text_length` tokens.

    Raises:
        ModelError: a tower of this model cannot run without numbers.
    """
    counter = _Counter(built)
    return Flops(counter.image(kept_patches), counter.text(text_length))


class _Counter:
    """A copy of a model without its numbers, to be run and counted."""

    def __init__(self, built: BuiltModel) -> None:
        weights = [*built.model.parameters(), *built.model.buffers()]
        empty = {id(tensor): _without_numbers(tensor) for tensor in weights}
        self._model = copy.deepcopy(built.model, empty).to("meta").eval()
        self._flops = FlopCounter()
        self._flops.run_like_layers_once(self._model)
        self._size = built.image_tower.image_size
        self._context = built.context_length

    def image(self, kept_patches: int) -> int:
        keep = torch.arange(kept_patches, device="meta").unsqueeze(0)

        def chosen(*_: object) -> Visible:
            return Visible([PatchBucket(torch.arange(1, device="meta"), keep)])

        tower = adapt_or_whole(self._model.get_submodule("visual"))
        images = torch.empty(1, 3, *self._size, device="meta")
        return self._count("image tower", lambda: tower(images, None if tower.refusal else chosen))

    def text(self, length: int) -> int:
        tower = TextTower(self._model)
        texts = torch.zeros(1, self._context, dtype=torch.long, device="meta")
        buckets = [Bucket(torch.arange(1, device="meta"), length)] if tower.can_cut else None
        return self._count("text tower", lambda: tower(texts, buckets))

    def _count(self, part: str, run: Callable[[], object]) -> int:
        """FLOPs of what runs.

        Raises:
            ModelError: it cannot run without numbers.
        """
        before = self._flops.total
        try:
            with torch.no_grad(), self._flops:
                run()
        except Exception as error:  # of whatever library the tower comes from
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ModelError(f"The {part} of this model cannot be run without its numbers ({reason}).") from error
        return self._flops.total - before


def _without_numbers(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def _through(count: Callable[[int], int], most: int) -> Curve:
    """The curve through three counts between 1 and `most`; a straight line or a constant where there are no three."""
    lengths = sorted({1, (most + 1) // 2, most})
    counts = [Fraction(count(length)) for length in lengths]
    slopes = [(b - a) / (n - m) for a, b, m, n in zip(counts, counts[1:], lengths, lengths[1:], strict=False)]
    quadratic = (slopes[1] - slopes[0]) / (lengths[2] - lengths[0]) if len(lengths) == 3 else Fraction(0)
    linear = slopes[0] - quadratic * (lengths[0] + lengths[1]) if slopes else Fraction(0)
    constant = counts[0] - lengths[0] * (linear + lengths[0] * quadratic)
    return Curve(float(constant), float(linear), float(quadratic))
