from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

import pgsclip
from pgsclip.errors import MaskerError, PluginError
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.maskers.random import RandomMasker

NAMES = ["random", "centered", "cluster", "pgs", "salient"]


def _images(batch: int = 3, height: int = 64, width: int = 96, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_ratio_gives_as_many_patches_for_every_image(name: str) -> None:
    kept = pgsclip.masker(name).keep(_images(), patch_size=16, ratio=0.3)
    assert isinstance(kept, Tensor)
    assert (kept.dtype, kept.shape) == (torch.int64, (3, 17))
    assert kept.diff(dim=1).gt(0).all()
    assert (kept.min() >= 0, kept.max() < 24) == (True, True)


@pytest.mark.parametrize("name", ["cluster", "pgs", "salient"])
@pytest.mark.parametrize("ratio", [(0.3, 0.5), "0.3:0.5"])
def test_a_range_gives_a_list_with_counts_within_it(name: str, ratio: Any) -> None:
    flat = torch.zeros(1, 3, 64, 96) + 0.3
    kept = pgsclip.masker(name).keep(torch.cat([_images(), flat]), patch_size=8, ratio=ratio)
    assert isinstance(kept, list)
    assert len(kept) == 4
    for row in kept:
        assert row.dtype == torch.int64
        assert 48 <= len(row) <= 67
        assert row.diff().gt(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_and_the_global_generator_does_not(name: str) -> None:
    masker, images = pgsclip.masker(name), _images()
    first = masker.keep(images, seed=7)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(first, masker.keep(images, seed=7))
    assert torch.equal(torch.get_rng_state(), state)
    assert any(not torch.equal(first, masker.keep(images, seed=other)) for other in range(8, 11))


@pytest.mark.parametrize("name", ["random", "centered", "cluster", "pgs"])
@pytest.mark.parametrize("ratio", [0.5, (0.2, 0.7)])
def test_the_patches_of_an_image_stay_when_its_companions_change(name: str, ratio: Any) -> None:
    """Under the same draws, that is at the same place of a batch of the same size."""
    if isinstance(ratio, tuple) and name not in {"cluster", "pgs"}:
        return
    ours, theirs = _images(seed=1), _images(seed=2)
    theirs[1] = ours[1]
    masker = pgsclip.masker(name)
    assert torch.equal(masker.keep(ours, 8, ratio, 5)[1], masker.keep(theirs, 8, ratio, 5)[1])


def test_images_without_a_difference_get_masks_that_differ() -> None:
    kept = pgsclip.masker("pgs").keep(_images(1).expand(6, -1, -1, -1), 8)
    assert len({tuple(row) for row in kept.tolist()}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_identical_patches_fall_everywhere_alike(name: str) -> None:
    """Rounding once made the bottom right patch of every flat image go first, or never."""
    images = torch.tensor([0.713, 0.31, -0.2]).reshape(1, 3, 1, 1).expand(64, 3, 56, 56).contiguous()
    masker = pgsclip.masker(name, **({"covariance": 1e6} if name == "centered" else {}))
    kept = sum(torch.bincount(masker.keep(images, 8, 0.5, s).flatten(), minlength=49) for s in range(25))
    assert isinstance(kept, Tensor)
    assert (kept / 1600 - 24 / 49).abs().max() < 5 * (0.25 / 1600) ** 0.5


def test_identical_patches_tie_without_transport_too() -> None:
    images = torch.tensor([0.713, 0.31, -0.2]).reshape(1, 3, 1, 1).expand(64, 3, 56, 56).contiguous()
    masker = pgsclip.masker("pgs", transport=False)
    corner = sum(int((masker.keep(images, 8, 0.5, seed)[:, -1] == 48).sum()) for seed in range(10))
    assert 200 < corner < 440


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("height", "width", "patch"), [(28, 42, 14), (33, 11, 11), (8, 24, 1), (16, 16, 16), (1, 1, 1)]
)
def test_any_patch_size_and_any_grid(name: str, height: int, width: int, patch: int) -> None:
    patches = (height // patch) * (width // patch)
    kept = pgsclip.masker(name).keep(_images(2, height, width), patch, 0.5)
    assert kept.shape == (2, max(1, round(patches / 2)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_any_floating_point_images(name: str, dtype: torch.dtype) -> None:
    assert pgsclip.masker(name).keep(_images().to(dtype)).shape == (3, 12)


@pytest.mark.parametrize("ratio", [0.0, 0.5, (0.3, 0.6), "0.2:0.4"])
def test_none_hides_nothing_whatever_the_ratio(ratio: Any) -> None:
    assert pgsclip.masker("none").keep(_images(), 16, ratio).tolist() == [list(range(24))] * 3


def test_no_gradient_is_tracked() -> None:
    images = _images().requires_grad_()
    assert not pgsclip.masker("pgs").keep(images).requires_grad
    assert images.grad is None


@pytest.mark.parametrize(
    ("images", "patch", "ratio", "words"),
    [
        (torch.zeros(3, 32, 32), 16, 0.5, r"tensor \(B, 3, H, W\).*given: \(3, 32, 32\) torch\.float32"),
        (torch.zeros(1, 1, 32, 32), 16, 0.5, r"given: \(1, 1, 32, 32\)"),
        (torch.zeros(0, 3, 32, 32), 16, 0.5, r"at least one image.*given: \(0, 3, 32, 32\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), 16, 0.5, r"floating-point tensor.*torch\.uint8"),
        (torch.full((1, 3, 32, 32), torch.nan), 16, 0.5, r"hold NaN or infinite values; look at how"),
        (torch.zeros(1, 3, 32, 40), 16, 0.5, r"32 x 40 pixels cannot be cut into patches of 16; resize or crop"),
        (torch.zeros(1, 3, 32, 32), 0, 0.5, r"cannot be cut into patches of 0"),
        (torch.zeros(1, 3, 32, 32), 16, 1.0, r"ratio: 1\.0 is outside \[0, 1\).*give a share in \[0, 1\)"),
        (torch.zeros(1, 3, 32, 32), 16, "half", r"ratio: 'half' is not a ratio; give"),
        (torch.zeros(1, 3, 32, 32), 16, (0.5, 0.3), r"runs backwards; did you mean 0\.3:0\.5"),
        (torch.zeros(1, 3, 32, 32), 16, (0.3, 0.5), r"masker 'random' does not choose a ratio per image.*0\.3:0\.5"),
    ],
)
def test_mistakes_are_sentences(images: Tensor, patch: int, ratio: Any, words: str) -> None:
    with pytest.raises(MaskerError, match=words):
        pgsclip.masker("random").keep(images, patch, ratio)


def test_unknown_names_and_parameters_are_sentences() -> None:
    with pytest.raises(PluginError, match=r"Unknown masker 'randm'\. Did you mean 'random'"):
        pgsclip.masker("randm")
    with pytest.raises(MaskerError, match="'sed_share' is unknown"):
        pgsclip.masker("pgs", sed_share=0.1)


def test_a_handle_is_built_from_the_name_or_the_class() -> None:
    named, direct = pgsclip.masker("random"), pgsclip.masker("pgsclip.masking.maskers.random:RandomMasker")
    assert isinstance(named, MaskerHandle)
    assert isinstance(named.masker, RandomMasker)
    assert torch.equal(named.keep(_images()), direct.keep(_images()))


def test_embeddings_stand_in_for_pixels_as_training_goes_on() -> None:
    images, embeddings = _images(), torch.randn(3, 24, 8, generator=torch.Generator().manual_seed(9))
    handle = pgsclip.masker("cluster")
    plain, early, late = (
        handle.keep(images, 16, 0.5, embeddings=given, progress=progress)
        for given, progress in ((None, 0.0), (embeddings, 0.0), (embeddings, 1.0))
    )
    assert torch.equal(plain, early)
    assert not torch.equal(plain, late)
    with pytest.raises(MaskerError, match=re.escape("(B, L, D) = (3, 24, any), one for each patch and none for class")):
        handle.keep(images, 16, 0.5, embeddings=embeddings[:, 1:])
    with pytest.raises(MaskerError, match=r"progress: 1\.5 is outside"):
        handle.keep(images, 16, 0.5, progress=1.5)
