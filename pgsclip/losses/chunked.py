"""Contrastive losses chunk by chunk: exact, with memory for a chunk of logits instead of the whole matrix.

The logits of N pairs are N x N, 4 GiB in float32 at 32,768 pairs, and autograd keeps several copies of them. Here a
chunk of rows is computed, used and overwritten; what a backward pass needs of it is computed again (CLIP in one
process) or at once (wherever a row is complete by itself), so nothing grows with N x N.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def clip_loss(
    images: Float[Tensor, "N E"], texts: Float[Tensor, "N E"], scale: Tensor, logits_per_chunk: int
) -> Tensor:
    """Return the mean of both cross-entropies of image i and text i finding each other, among all N of one process.

    Args:
        images, texts: normalised float32 features.
        scale: one element, the factor on the cosines.
        logits_per_chunk: logits computed at once, at least; a chunk holds whole rows.
    """
    loss: Tensor = _Symmetric.apply(images, texts, scale.reshape(()), _rows_per_chunk(logits_per_chunk, len(texts)))
    return loss


def row_cross_entropy(
    queries: Float[Tensor, "b E"], keys: Float[Tensor, "N E"], scale: Tensor, first: int, logits_per_chunk: int
) -> Tensor:
    """Return the mean cross-entropy of query i finding key `first + i`: one direction, one rank's share."""
    loss: Tensor = _Rows.apply(queries, keys, scale.reshape(()), first, _rows_per_chunk(logits_per_chunk, len(keys)))
    return loss


def sigmoid_loss(
    images: Float[Tensor, "b E"],
    texts: Float[Tensor, "N E"],
    scale: Tensor,
    bias: Tensor,
    first: int,
    logits_per_chunk: int,
) -> Tensor:
    """Return SigLIP's loss of one rank's images with all texts: the sum over pairs of the log-loss, divided by b."""
    rows = _rows_per_chunk(logits_per_chunk, len(texts))
    loss: Tensor = _Sigmoid.apply(images, texts, scale.reshape(()), bias.reshape(()), first, rows)
    return loss


def _rows_per_chunk(logits: int, columns: int) -> int:
    return max(1, logits // columns)


class _Chunks:
    """Cosines of rows of `queries` with all of `keys`, chunk after chunk, in one buffer."""

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
    """Both directions over one matrix: the sums of all rows and columns first, the gradients in the backward pass.

    With s the logits, the loss is the mean over i of (log sum_j exp s_ij + log sum_j exp s_ji - 2 s_ii) / 2, and

        d loss / d s_ij = (exp(s_ij - row_i) + exp(s_ij - column_j) - 2 [i = j]) / 2N,

    where row_i and column_j are those two logarithms of sums. A column is complete only when the last chunk of rows was
    seen, so no gradient can be taken on the way: the forward pass keeps the 2N sums alone, and the backward pass
    computes every chunk once more. That is one more product of matrices, and N x N numbers less.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, rows: int) -> Tensor:
        count = len(images)
        row_sums, matches = images.new_empty(count), images.new_empty(count)
        # Columns are added up chunk by chunk, each against its largest logit so far: exp of 100 would overflow.
        largest = images.new_full((count,), -torch.inf)
        totals = images.new_zeros(count)
        for place, _, logits in _Chunks(images, texts, rows):
            logits.mul_(scale)
            matches[place] = logits.diagonal(place.start)
            row_sums[place] = logits.logsumexp(dim=1)
            grown = torch.maximum(largest, logits.amax(dim=0))
            # What was added up before was relative to the old maximum: exp(largest - grown) brings it to the new one.
            totals.mul_((largest - grown).exp_()).add_(logits.sub_(grown).exp_().sum(dim=0))
            largest = grown
        column_sums = largest + totals.log()
        ctx.save_for_backward(images, texts, scale, row_sums, column_sums)
        ctx.rows = rows
        return (row_sums + column_sums - 2 * matches).mean() / 2

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        images, texts, scale, row_sums, column_sums = ctx.saved_tensors
        to_images, to_texts, to_scale = torch.empty_like(images), torch.zeros_like(texts), torch.zeros_like(scale)
        factor = grad_output / (2 * len(images))
        for place, part, cosines in _Chunks(images, texts, ctx.rows):
            logits = cosines * scale
            slopes = (logits - row_sums[place, None]).exp_()  # d loss / d logits, in place over one buffer
            slopes += logits.sub_(column_sums).exp_()
            slopes.diagonal(place.start).sub_(2)
            slopes *= factor
            # logits = scale * images @ texts.T: the chain rule to each of the three
            to_scale += torch.dot(slopes.flatten(), cosines.flatten())
            torch.mm(slopes, texts, out=to_images[place])
            to_texts.addmm_(slopes.mT, part)
        return to_images.mul_(scale), to_texts.mul_(scale), to_scale, None


class _Rows(torch.autograd.Function):
    """One direction: a row is complete by itself, so its gradient is taken in the forward pass, while it is there."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, scale: Tensor, first: int, rows: int) -> Tensor:
        loss = queries.new_zeros(())
        to_queries, to_keys = torch.empty_like(queries), torch.zeros_like(keys)
        to_scale = torch.zeros_like(scale)
        for place, part, cosines in _Chunks(queries, keys, rows):
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
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        to_queries, to_keys, to_scale = ctx.saved_tensors
        return grad_output * to_queries, grad_output * to_keys, grad_output * to_scale, None, None


class _Sigmoid(torch.autograd.Function):
    """Every pair on its own: the gradient is taken in the forward pass, as in `_Rows`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, first: int, rows: int) -> Tensor:
        loss = images.new_zeros(())
        to_images, to_texts = torch.empty_like(images), torch.zeros_like(texts)
        to_scale, to_bias = torch.zeros_like(scale), torch.zeros_like(bias)
        for place, part, cosines in _Chunks(images, texts, rows):
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
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        to_images, to_texts, to_scale, to_bias = ctx.saved_tensors
        gradients = (grad_output * one for one in (to_images, to_texts, to_scale, to_bias))
        return *gradients, None, None
