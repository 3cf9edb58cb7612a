"""How much arithmetic a pair costs, counted on the model itself without computing it."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pgsclip.models.adapt import adapt
from pgsclip.models.build import BuiltModel
from pgsclip.models.text_tower import TextTower


class Flops(NamedTuple):
    """Forward pass of one pair, a multiplication and an addition counted as two."""

    image: int
    text: int


def count_flops(built: BuiltModel, *, kept_patches: int, text_length: int) -> Flops:
    """Count with `kept_patches` of an image in the blocks, and a caption of `text_length` tokens."""
    model = copy.deepcopy(built.model).to("meta").eval()
    height, width = built.image_tower.image_size
    images = torch.empty(1, 3, height, width, device="meta")
    keep = torch.arange(kept_patches, device="meta").unsqueeze(0)
    tower, text_tower = adapt(model.get_submodule("visual")), TextTower(model)

    def chosen(_: Tensor, patches: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [(torch.arange(1, device="meta"), keep)]

    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            tower(images, chosen)
        image = counter.get_total_flops()
        texts = torch.zeros(1, built.context_length, dtype=torch.long, device="meta")
        rows = torch.arange(1, device="meta")
        with FlopCounterMode(display=False) as counter:
            text_tower(texts, [(rows, text_length)] if text_tower.can_cut else None)
        return Flops(image, counter.get_total_flops())
