from __future__ import annotations

import numpy as np
import pytest
import torch

from pgsclip.masking.similarity import blend_similarity, cosine, drop_rounding_noise, take_rows, to_unit_length


def _cosine64(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    result = np.zeros((len(vectors), len(vectors)))
    for i, left in enumerate(vectors):
        for j, right in enumerate(vectors):
            result[i, j] = left @ right / np.sqrt((left @ left) * (right @ right))
    return result


def test_cosine_agrees_with_a_loop_in_float64() -> None:
    vectors = torch.randn(2, 9, 48) + 0.5
    for ours, given in zip(cosine(vectors), vectors, strict=True):
        np.testing.assert_allclose(ours.numpy(), _cosine64(given.numpy()), atol=1e-6)


def test_rows_are_those_of_the_whole_matrix() -> None:
    vectors, rows = torch.randn(3, 7, 5), torch.tensor([[4, 0], [6, 6], [1, 2]])
    whole = cosine(vectors)
    torch.testing.assert_close(cosine(vectors, rows), torch.stack([whole[b, rows[b]] for b in range(3)]))
    torch.testing.assert_close(take_rows(whole, rows), torch.stack([whole[b, rows[b]] for b in range(3)]))


def test_bfloat16_vectors_are_compared_in_float32() -> None:
    vectors = torch.randn(1, 6, 64).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = cosine(vectors)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours[0].numpy(), _cosine64(vectors[0].float().numpy()), atol=1e-6)


def test_an_empty_patch_resembles_nothing() -> None:
    vectors = torch.randn(1, 3, 4)
    vectors[0, 1] = 0
    assert to_unit_length(vectors)[0, 1].eq(0).all()
    assert cosine(vectors)[0, 1].eq(0).all()


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_blend_is_a_weighted_mean_of_both_cosines(weight: float) -> None:
    pixels, embeddings = torch.randn(2, 5, 12), torch.randn(2, 5, 8)
    expected = (1 - weight) * cosine(pixels) + weight * cosine(embeddings)
    torch.testing.assert_close(blend_similarity(pixels, embeddings, weight), expected)


def test_a_side_without_weight_is_not_even_read() -> None:
    pixels, broken = torch.randn(1, 4, 6), torch.full((1, 4, 6), torch.nan)
    assert torch.equal(blend_similarity(pixels, broken, 0.0), cosine(pixels))
    assert torch.equal(blend_similarity(broken, pixels, 1.0), cosine(pixels))
    assert torch.equal(blend_similarity(pixels, None, 0.7), cosine(pixels))


def test_rounding_noise_becomes_a_tie_and_a_difference_stays() -> None:
    scores = drop_rounding_noise(torch.tensor([[1.0, 1 - 6e-8, 0.9999]]))
    assert scores[0, 0] == scores[0, 1]
    assert scores[0, 2] < scores[0, 0]
