"""PGS as one would write it down from the paper, every step on everything: what `pgsclip bench maskers` compares with.

Not a masker to train with. Sobel on every pixel, the whole similarity of pixels and of embeddings, fifty rounds of
alternating Sinkhorn scaling on the whole matrix, and only then the candidates' rows.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pgsclip.masking.candidates import draw_candidates
from pgsclip.masking.contract import MaskInputs, MaskScores
from pgsclip.masking.pixels import luminance, patch_means, patchify
from pgsclip.masking.similarity import scale_to_unit_range, take_rows

_ROUNDS = 50
_TEMPERATURE = 0.2
_SEED_SHARE = 0.05
_EDGE_WEIGHT = 0.5
_ACROSS = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def straightforward_pgs(inputs: MaskInputs) -> MaskScores:
    """Return scores of the same meaning as those of the masker `pgs edge_scale=0`."""
    images, grid, progress = inputs.images, inputs.grid, inputs.progress
    across = images.new_tensor(_ACROSS)
    padded = F.pad(luminance(images).unsqueeze(1), (1, 1, 1, 1), mode="reflect")
    gradient = F.conv2d(padded, torch.stack([across, across.T]).unsqueeze(1)).norm(dim=1)
    edges = patch_means(gradient, grid)
    edges = edges / edges.amax(dim=1, keepdim=True).clamp(min=1e-5)
    candidates = draw_candidates(edges, _SEED_SHARE, inputs.generator)
    pixels, embeddings = F.normalize(patchify(images, grid), dim=-1), F.normalize(inputs.patches, dim=-1)
    similarity = (1 - progress) * (pixels @ pixels.mT) + progress * (embeddings @ embeddings.mT)
    rows = take_rows(_TEMPERATURE * _plan(similarity).log(), candidates)
    return MaskScores(_EDGE_WEIGHT * edges - scale_to_unit_range(rows.mean(dim=1)))


def _plan(similarity: Float[Tensor, "B L L"]) -> Float[Tensor, "B L L"]:
    """Sinkhorn's scaling of exp(similarity / temperature), rows and columns in turn."""
    kernel = torch.exp(similarity / _TEMPERATURE)
    count = similarity.shape[1]
    columns = torch.ones_like(kernel[:, 0])
    for _ in range(_ROUNDS):
        rows = 1 / (count * (kernel * columns.unsqueeze(1)).sum(dim=2))
        columns = 1 / (count * (kernel * rows.unsqueeze(2)).sum(dim=1))
    return rows.unsqueeze(2) * kernel * columns.unsqueeze(1)
