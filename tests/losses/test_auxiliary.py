from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from pgsclip import plugins
from pgsclip.config.fields import PluginConfig
from pgsclip.config.params import PluginParams
from pgsclip.errors import PluginError
from pgsclip.losses import registry
from pgsclip.losses.auxiliary import Sizes
from pgsclip.losses.contrastive import ClipLoss
from pgsclip.losses.registry import build_auxiliary

SIZES = Sizes(width=4, vocabulary=10, views=1)


class Head(nn.Module):
    Params: ClassVar[type[PluginParams]] = PluginParams
    fewest_views: ClassVar[int] = 1
    wants_masker_features: ClassVar[bool] = False

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.width, 2)

    def features(self, seen: Any) -> Any: ...


class TwoViews(Head):
    fewest_views = 2


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"head": Head, "two": TwoViews, "main": ClipLoss, "none": Path}
    monkeypatch.setattr(registry.plugins, "load", lambda group, name: known[name])


def build(name: str, seed: int = 0, **params: Any) -> Any:
    return build_auxiliary(PluginConfig(name=name, params=params), SIZES, seed)


def test_weights_come_from_the_seed_and_the_name_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = build("head"), build("head"), build("head", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("two", {}, r"'two' compares 2 views of an image and data\.views is 1; set data\.views=2"),
        ("main", {}, r"'main' is a main loss and not an auxiliary one; give it as loss\.name=main"),
        ("none", {}, r"'none' is no auxiliary loss: that is an nn\.Module with Params"),
        ("head", {"weigth": 2}, r"The loss 'head' refuses its parameters: 'weigth' is unknown"),
    ],
)
def test_what_cannot_be_added_says_why(name: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        build(name, **params)


def test_a_state_that_does_not_fit_says_so() -> None:
    state = {"head.weight": torch.zeros(3, 3), "head.bias": torch.zeros(2)}
    with pytest.raises(PluginError, match=r"state of the loss 'head' in the checkpoint does not fit: .*head\.weight"):
        plugins.load_state(plugins.LOSSES, "head", build("head"), state, PluginError)
