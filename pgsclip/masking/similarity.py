"""How alike patches are: a blend of pixels, which mean something from the first step, and embeddings, which learn to.

CLIP-PGS (arXiv 2503.17080, section 3.3): `(1 - a) * pixels + a * embeddings` with a growing over training. Ours is
`a = progress`, whatever the length of the run.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

_EMPTY = 1e-12
"""Length of a patch that is nothing but zeros."""
_ALIKE = 1e-4
"""Spread of similarity below which all patches of an image count as equally similar: rounding is no difference."""


def to_unit_length(vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
    """Each patch at length 1 in float32; an all-zero patch stays zero."""
    return F.normalize(vectors.float(), dim=-1, eps=_EMPTY)


def blend_similarity(
    pixels: Float[Tensor, "B L P"],
    embeddings: Float[Tensor, "B L D"] | None,
    weight: float,
    rows: Int[Tensor, "B N"] | None = None,
) -> Float[Tensor, "B N L"]:
    """Cosine of patches `rows` (all when None) with all patches, in [-1, 1].

    Args:
        embeddings: None, or blended in by `weight` in [0, 1]; a side with no weight is not computed.
    """
    weight = 0.0 if embeddings is None else weight
    total: Tensor | None = None
    for share, vectors in ((1 - weight, pixels), (weight, embeddings)):
        if share > 0 and vectors is not None:
            part = share * cosine(vectors, rows)
            total = part if total is None else total + part
    assert total is not None
    return total


def cosine(vectors: Float[Tensor, "B L D"], rows: Int[Tensor, "B N"] | None = None) -> Float[Tensor, "B N L"]:
    """Cosine of the patches `rows` (all when None) with all patches; 0 for an all-zero patch.

    Products are divided by lengths, not vectors before them: a normalised copy of all patches would cost as much as
    the product of the few rows that are wanted.
    """
    vectors = vectors.float() if vectors.dtype == torch.float64 else vectors
    lengths = torch.linalg.vector_norm(vectors, dim=-1, dtype=torch.float32).clamp(min=_EMPTY)
    left, own = (vectors, lengths) if rows is None else (take_rows(vectors, rows), lengths.gather(1, rows))
    return _products(left, vectors).div_(own.unsqueeze(2) * lengths.unsqueeze(1))


def _products(left: Float[Tensor, "B N D"], right: Float[Tensor, "B L D"]) -> Float[Tensor, "B N L"]:
    """Dot products of all pairs in float32; 16-bit numbers on a GPU are multiplied as they are, which is exact."""
    with torch.autocast(right.device.type, enabled=False):
        if right.device.type == "cuda" and right.dtype in (torch.bfloat16, torch.float16):
            return torch.bmm(left, right.mT, out_dtype=torch.float32)
        return left.float() @ right.float().mT


def drop_rounding_noise(scores: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Scores to 5 digits: what differs by rounding alone is a tie, which chance decides.

    A matrix product rounds its last columns otherwise than the rest, so of identical patches the bottom right one
    would always go first, or last.
    """
    return scores.round(decimals=5)


def scale_to_unit_range(values: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Smallest 0 and largest 1 per image; all equal but for rounding: all 0."""
    low, high = values.aminmax(dim=1, keepdim=True)
    scaled = (values - low) / (high - low).clamp(min=_ALIKE)
    return torch.where(high - low > _ALIKE, scaled, torch.zeros_like(scaled))


def take_rows(values: Float[Tensor, "B L D"], rows: Int[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
    """`values[b, rows[b]]` for every image b."""
    batch, count, width = values.shape
    places = rows + count * torch.arange(batch, device=rows.device).unsqueeze(1)
    return values.reshape(-1, width).index_select(0, places.flatten()).reshape(batch, -1, width)
