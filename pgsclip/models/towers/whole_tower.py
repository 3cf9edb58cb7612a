"""An image tower without patches that could be hidden: a ConvNet, a Swin. It trains on whole images."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.models.towers.image_tower import Choose, Encoded, ImageTower


class WholeTower(ImageTower):
    """One patch, which is the image; whoever asks for others is answered why there are none."""

    tower: Any

    def __init__(self, tower: nn.Module, refusal: str = "This image tower cannot hide patches.") -> None:
        super().__init__(tower)
        size: int | tuple[int, int] = self.tower.image_size
        self.image_size = (size, size) if isinstance(size, int) else (size[0], size[1])
        self.patch_size = self.image_size
        self.refusal = refusal

    def forward(self, images: Float[Tensor, "B 3 H W"], choose: Choose | None = None) -> Encoded:
        if choose is not None:
            self._refuse()
        features = self.tower(images)
        return Encoded(features, features)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        self._refuse()

    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        self._refuse()

    def project(self, pooled: Float[Tensor, "B W"]) -> Float[Tensor, "B E"]:
        return pooled

    @property
    def width(self) -> int:
        """Of the features, as nothing is pooled before them; found by a pass without numbers."""
        weights = chain(self.tower.named_parameters(), self.tower.named_buffers())
        empty = {name: torch.empty_like(tensor, device="meta") for name, tensor in weights}
        with torch.no_grad():
            features = torch.func.functional_call(self.tower, empty, torch.empty(2, 3, *self.image_size, device="meta"))
        return int(features.shape[1])

    @property
    def blocks(self) -> list[nn.Module]:
        """None: there is no layer that all others are like."""
        return []

    def class_attention(self) -> list[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        self._refuse()

    def external_parameters(self) -> list[nn.Parameter]:
        return []

    def _refuse(self) -> NoReturn:
        assert self.refusal is not None
        raise ModelError(self.refusal)
