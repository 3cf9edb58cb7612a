from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pgsclip.bucketing import PatchBucket, Visible
from pgsclip.errors import ModelError
from pgsclip.grid import Grid
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.image_tower import restore_batch_order, take_patches


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_taken_patches_and_their_gradients_are_those_of_each_image(data: st.DataObject) -> None:
    batch, patches, kept = (data.draw(st.integers(1, 5)) for _ in range(3))
    kept = min(kept, patches)
    rows = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=batch, unique=True))
    drawn = [data.draw(st.permutations(range(patches)))[:kept] for _ in rows]
    order, keep = torch.tensor(rows), torch.tensor(drawn)
    values = torch.randn(batch, 2, patches).mT.requires_grad_()  # as a convolution may leave them
    taken = take_patches(values, order, keep)
    pairs = zip(rows, drawn, strict=True)
    expected = torch.stack([torch.stack([values[row, one] for one in own]) for row, own in pairs])
    assert torch.equal(taken, expected)
    weights = torch.randn_like(taken)
    found, wanted = (torch.autograd.grad((one * weights).sum(), values)[0] for one in (taken, expected))
    assert torch.equal(found, wanted)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(7)), st.lists(st.integers(1, 6), max_size=3, unique=True))
def test_groups_come_back_in_batch_order(order: list[int], cuts: list[int]) -> None:
    values = torch.randn(7, 3)
    ends = [*sorted(cuts), 7]
    rows = [torch.tensor(order[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    assert torch.equal(restore_batch_order([values[group] for group in rows], rows), values)


def test_an_empty_batch_stays_empty() -> None:
    assert restore_batch_order([torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.long)]).shape == (0, 4)


def test_adapter_adds_nothing_to_the_state_dict(make_clip: Any) -> None:
    tower = adapt(make_clip().visual)
    assert list(tower.parameters()) == []
    assert tower.state_dict() == {}


def test_masker_sees_detached_patches_and_kept_is_counted(make_clip: Any, images: Tensor) -> None:
    tower = adapt(make_clip().visual)
    seen: list[Tensor] = []
    features = torch.randn(5, 3)

    def choose(pixels: Tensor, patches: Tensor, grid: Grid) -> Visible:
        seen.extend((pixels, patches))
        assert grid == Grid(4, 4, 8)
        uneven = [(torch.tensor([3, 0]), torch.arange(2)), (torch.tensor([1, 4, 2]), torch.arange(8))]
        return Visible([PatchBucket(rows, keep.expand(len(rows), -1)) for rows, keep in uneven], features)

    encoded = tower(images, choose)
    assert encoded.patches_kept == (2 * 2 + 3 * 8) / (5 * 16)
    assert encoded.features.requires_grad
    assert encoded.visible.masker_features is features, "what the masker says comes back with the features"
    assert [bucket.rows.tolist() for bucket in encoded.visible.buckets] == [[3, 0], [1, 4, 2]]
    assert torch.equal(seen[0], images)
    assert seen[1].shape == (5, 16, 32)
    assert not seen[1].requires_grad
    prefix, patches = tower.embed(images)
    alone = tower.encode(prefix[4:], patches[4:, :8])
    torch.testing.assert_close(encoded.features[4:], alone, atol=1e-10, rtol=1e-9)
    assert tower(images).patches_kept == 1.0


def test_the_grid_is_that_of_the_patches(make_clip: Any) -> None:
    tower = adapt(make_clip(vision={"image_size": (16, 48), "patch_size": 8}).visual)
    for height, width in ((16, 48), (32, 24)):
        images = torch.randn(1, 3, height, width, dtype=torch.float64)
        grid = tower.grid(images)
        assert grid == Grid(height // 8, width // 8, 8)
        assert grid.patches == tower.embed(images)[1].shape[1]


def test_patches_that_are_not_square_are_refused_where_a_masker_wants_to_see_them(make_clip: Any) -> None:
    tower = adapt(make_clip(vision={"image_size": 32, "patch_size": (8, 16)}).visual)
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    assert tower(images).patches_kept == 1.0
    with pytest.raises(ModelError, match=r"patches of 8 x 16 pixels, and maskers know square patches only"):
        tower(images, lambda *_: Visible([]))


@pytest.mark.parametrize("size", [(33, 32), (39, 38)])
def test_pixels_beyond_the_last_whole_patch_are_not_seen(size: tuple[int, int], make_clip: Any) -> None:
    visual = make_clip().visual
    pixels = torch.randn(2, 3, *size, dtype=torch.float64)
    shapes: list[torch.Size] = []

    def choose(cropped: Tensor, patches: Tensor, grid: Grid) -> Visible:
        shapes.append(cropped.shape)
        assert grid == Grid(4, 4, 8)
        return Visible([PatchBucket(torch.arange(2), torch.arange(patches.shape[1]).expand(2, -1))])

    features = adapt(visual)(pixels, choose).features
    torch.testing.assert_close(features, visual(pixels), atol=1e-10, rtol=1e-9)
    assert shapes == [(2, 3, 32, 32)]


def test_a_timm_tower_takes_a_size_that_is_no_multiple_of_its_patches(make_timm: Any) -> None:
    visual: nn.Module = make_timm(img_size=52)
    pixels = torch.randn(2, 3, 52, 52, dtype=torch.float64)
    shapes: list[torch.Size] = []

    def choose(cropped: Tensor, patches: Tensor, grid: Grid) -> Visible:
        shapes.append(cropped.shape)
        return Visible([PatchBucket(torch.arange(2), torch.arange(9).expand(2, -1))])

    tower = adapt(visual)
    torch.testing.assert_close(tower(pixels).features, visual(pixels), atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(tower(pixels, choose).features, visual(pixels), atol=1e-10, rtol=1e-9)
    assert shapes == [(2, 3, 48, 48)]
