from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pgsclip.errors import ModelError
from pgsclip.export.parity import Embeddings, compare_embeddings, draw_samples


def turned(embeddings: torch.Tensor, cosine: float) -> torch.Tensor:
    """Every row by the same angle, towards something orthogonal."""
    other = torch.roll(embeddings, 1, dims=1)
    other = F.normalize(other - (other * embeddings).sum(1, keepdim=True) * embeddings, dim=1)
    return cosine * embeddings + (1 - cosine**2) ** 0.5 * other


def test_the_smallest_cosine_of_either_side_decides() -> None:
    one = F.normalize(torch.randn(4, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    for cosine in (0.99995, 1.0):
        found = compare_embeddings(Embeddings(one, one), Embeddings(turned(one, cosine), one), "x")
        assert found.image_cosine == pytest.approx(cosine, abs=1e-6)
        assert found.text_cosine == pytest.approx(1.0, abs=1e-6)
    nan = one.clone()
    nan[2, 3] = float("nan")
    for bad in (turned(one, 0.9998), torch.cat([one[:3], -one[3:]]), nan):
        for theirs in (Embeddings(bad, one), Embeddings(one, bad)):
            with pytest.raises(ModelError, match=r"exported x model does not match .*required: 0\.9999"):
                compare_embeddings(Embeddings(one, one), theirs, "x")


@pytest.mark.parametrize("size", [(32, 32), (48, 24)])
def test_pictures_are_larger_and_leave_an_even_margin(size: tuple[int, int]) -> None:
    images, texts = draw_samples(size)
    assert len(images) == 8
    assert max(len(text) for text in texts) > 300
    for image in images:
        times = image.height // size[0]
        assert image.height == times * size[0]
        assert times > 1
        assert (image.width / times - size[1]) % 2 == 0
