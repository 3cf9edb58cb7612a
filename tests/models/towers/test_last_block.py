"""Every number of both towers is compared with open_clip's in test_native_tower.py and test_text_tower.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pgsclip.bucketing import Bucket
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.last_block import is_plain
from pgsclip.models.towers.text_tower import TextTower


def rows_of_the_last_mlp(transformer: Any) -> list[tuple[int, ...]]:
    seen: list[tuple[int, ...]] = []
    transformer.resblocks[-1].mlp.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[:2])))
    return seen


def test_the_last_mlp_reads_one_token_of_each_image_and_caption(make_clip: Any, images: Tensor, captions: Any) -> None:
    model = make_clip()
    tower, text = adapt(model.visual), TextTower(model)
    of_images, of_texts = rows_of_the_last_mlp(model.visual.transformer), rows_of_the_last_mlp(model.transformer)
    tower(images)
    text(captions.texts, [Bucket(torch.tensor([0, 1, 3, 5]), 5), Bucket(torch.tensor([2, 4]), 12)])
    assert of_images == [(5, 1)]
    assert of_texts == [(4, 1), (2, 1)]


@pytest.mark.parametrize("vision", [{"pool_type": "avg"}, {"attentional_pool": True, "attn_pooler_heads": 2}])
def test_where_all_tokens_are_pooled_all_are_computed(vision: Any, make_clip: Any, images: Tensor) -> None:
    model = make_clip(vision=vision)
    seen = rows_of_the_last_mlp(model.visual.transformer)
    adapt(model.visual)(images)
    assert seen == [(5, 17)]


def test_blocks_of_another_kind_run_whole(make_clip: Any) -> None:
    model = make_clip(vision={"qk_norm": True})
    adapt(model.visual)
    assert not is_plain(model.visual.transformer)


def test_who_watches_the_last_block_sees_all_of_it(make_clip: Any, images: Tensor) -> None:
    model = make_clip()
    tower = adapt(model.visual)
    expected = tower(images).features
    seen: list[tuple[int, ...]] = []
    handle = model.visual.transformer.resblocks[-1].register_forward_hook(
        lambda *given: seen.append(given[2].shape[:2])
    )
    torch.testing.assert_close(tower(images).features, expected, atol=1e-10, rtol=1e-9)
    assert seen == [(5, 17)]
    handle.remove()
    tower(images)
    assert len(seen) == 1
