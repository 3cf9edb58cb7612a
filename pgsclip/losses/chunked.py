"""Contrastive losses block by block: exact, with memory for a block of logits instead of the whole matrix.

The logits of N pairs are N x N, 4 GiB in float32 at 32,768 pairs, and autograd keeps several copies of them. Here a
block of rows is computed, used and overwritten; what a backward pass needs of it is computed again (CLIP in one
process) or at once (wherever a row is complete by itself), so nothing grows with N x N.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def clip_loss(images: Float[Tensor, "N E"], texts: Float[Tensor, "N E"], scale: Tensor, block: int) -> Tensor:
    """Mean of both cross-entropies of pair i being the match of i, among all N pairs of one process.

    Args:
        images, texts: normalised float32 features.
        scale: one element, the factor on the cosines.
        block: logits computed at once, at least; a block holds whole rows.
    """
    loss: Tensor = _Symmetric.apply(images, texts, scale.reshape(()), _rows(block, len(texts)))
    return loss


def row_cross_entropy(
    queries: Float[Tensor, "b E"], keys: Float[Tensor, "N E"], scale: Tensor, first: int, block: int
) -> Tensor:
    """Mean cross-entropy of query i finding key `first + i` among all keys: one direction, one rank's share."""
    loss: Tensor = _Rows.apply(queries, keys, scale.reshape(()), first, _rows(block, len(keys)))
    return loss


def sigmoid_loss(
    images: Float[Tensor, "b E"], texts: Float[Tensor, "N E"], scale: Tensor, bias: Tensor, first: int, block: int
) -> Tensor:
    """SigLIP's loss of one rank's images with all texts: the sum over pairs of the log-loss, divided by b."""
    rows = _rows(block, len(texts))
    loss: Tensor = _Sigmoid.apply(images, texts, scale.reshape(()), bias.reshape(()), first, rows)
    return loss


def _rows(block: int, columns: int) -> int:
    return max(1, block // columns)


class _Blocks:
    """Cosines of rows of `queries` with all of `keys`, block after block, in one buffer."""

    def __init__(self, queries: Tensor, keys: Tensor, rows: int) -> None:
        self._queries, self._keys, self._rows = queries, keys, min(rows, len(queries))
        self._buffer = queries.new_empty(self._rows, len(keys))

    def __iter__(self) -> Any:
        for start in range(0, len(self._queries), self._rows):
            part = self._queries[start : start + self._rows]
            cosines = self._buffer[: len(part)]
            torch.mm(part, self._keys.mT, out=cosines)
            yield slice(start, start + len(part)), part, cosines


class _Symmetric(torch.autograd.Function):
    """Both directions over one matrix: first the sums of all rows and columns, in the backward pass the gradients."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, rows: int) -> Tensor:
        count = len(images)
        row_sums, matches = images.new_empty(count), images.new_empty(count)
        largest = images.new_full((count,), -torch.inf)
        totals = images.new_zeros(count)
        for place, _, logits in _Blocks(images, texts, rows):
            logits.mul_(scale)
            matches[place] = logits.diagonal(place.start)
            row_sums[place] = logits.logsumexp(dim=1)
            grown = torch.maximum(largest, logits.amax(dim=0))
            totals.mul_((largest - grown).exp_()).add_(logits.sub_(grown).exp_().sum(dim=0))
            largest = grown
        column_sums = largest + totals.log()
        ctx.save_for_backward(images, texts, scale, row_sums, column_sums)
        ctx.rows = rows
        return (row_sums + column_sums - 2 * matches).mean() / 2

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        images, texts, scale, row_sums, column_sums = ctx.saved_tensors
        to_images, to_texts, to_scale = torch.empty_like(images), torch.zeros_like(texts), torch.zeros_like(scale)
        factor = pull / (2 * len(images))
        for place, part, cosines in _Blocks(images, texts, ctx.rows):
            logits = cosines * scale
            slopes = (logits - row_sums[place, None]).exp_()
            slopes += logits.sub_(column_sums).exp_()
            slopes.diagonal(place.start).sub_(2)
            slopes *= factor
            to_scale += torch.dot(slopes.flatten(), cosines.flatten())
            torch.mm(slopes, texts, out=to_images[place])
            to_texts.addmm_(slopes.mT, part)
        return to_images.mul_(scale), to_texts.mul_(scale), to_scale, None


class _Rows(torch.autograd.Function):
    """One direction: a row is complete by itself, so its gradient is taken while it is there."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, scale: Tensor, first: int, rows: int) -> Tensor:
        loss = queries.new_zeros(())
        to_queries, to_keys = torch.empty_like(queries), torch.zeros_like(keys)
        to_scale = torch.zeros_like(scale)
        for place, part, cosines in _Blocks(queries, keys, rows):
            logits = cosines * scale
            sums = logits.logsumexp(dim=1)
            loss += (sums - logits.diagonal(first + place.start)).sum()
            slopes = logits.sub_(sums[:, None]).exp_()
            slopes.diagonal(first + place.start).sub_(1)
            to_scale += torch.dot(slopes.flatten(), cosines.flatten())
            torch.mm(slopes, keys, out=to_queries[place])
            to_keys.addmm_(slopes.mT, part)
        count = len(queries)
        ctx.save_for_backward(to_queries.mul_(scale / count), to_keys.mul_(scale / count), to_scale.div_(count))
        return loss / count

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        to_queries, to_keys, to_scale = ctx.saved_tensors
        return pull * to_queries, pull * to_keys, pull * to_scale, None, None


class _Sigmoid(torch.autograd.Function):
    """Every pair on its own."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, first: int, rows: int) -> Tensor:
        loss = images.new_zeros(())
        to_images, to_texts = torch.empty_like(images), torch.zeros_like(texts)
        to_scale, to_bias = torch.zeros_like(scale), torch.zeros_like(bias)
        for place, part, cosines in _Blocks(images, texts, rows):
            logits = cosines * scale + bias
            logits.diagonal(first + place.start).neg_()  # sigmoid(x) - 1 would lose the digits of a pair that is learnt
            loss += F.softplus(logits).sum()
            slopes = logits.sigmoid_()
            slopes.diagonal(first + place.start).neg_()
            to_bias += slopes.sum()
            to_scale += torch.dot(slopes.flatten(), cosines.flatten())
            torch.mm(slopes, texts, out=to_images[place])
            to_texts.addmm_(slopes.mT, part)
        count = len(images)
        ctx.save_for_backward(
            to_images.mul_(scale / count), to_texts.mul_(scale / count), to_scale.div_(count), to_bias.div_(count)
        )
        return loss / count

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        to_images, to_texts, to_scale, to_bias = ctx.saved_tensors
        return pull * to_images, pull * to_texts, pull * to_scale, pull * to_bias, None, None
