"""The kit must catch each way to break the contract, with words that say what to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from pgsclip.config.params import PluginParams
from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip.losses.contrastive import ClipLoss, SigLipLoss
from pgsclip.testing.loss import check_loss


class Main(ClipLoss):
    """CLIP's; the broken ones differ from it in one thing."""


class Sound(nn.Module):
    """A head that tells the caption's features from the pooled state."""

    Params: ClassVar[Any] = PluginParams
    fewest_views: ClassVar[Any] = 1
    wants_masker_features: ClassVar[Any] = False

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.width, 8)

    def features(self, seen: Seen) -> Any:
        return {"made": self.head(seen.pooled), "wanted": seen.texts}

    def forward(self, features: Mapping[str, Tensor]) -> Any:
        return (features["made"] - features["wanted"][:, None]).square().mean()


def test_ours_and_a_sound_auxiliary_one_pass() -> None:
    for kind in (ClipLoss, SigLipLoss, Main, Sound):
        check_loss(kind)


def _call(change: Any) -> dict[str, Any]:
    def call(self: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Any) -> Any:
        return change(lambda *given: ClipLoss.__call__(self, *given), images, texts, scale)

    return {"__call__": call}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"__doc__": ""}, "Write a docstring on the loss's class"),
        (_call(lambda loss, i, t, s: loss(i, t, s, None) * torch.rand(())), "draws from torch's global generator"),
        (_call(lambda loss, i, t, s: loss(i, t, s, None) * float("nan")), "of ordinary features is not finite"),
        (_call(lambda loss, i, t, s: (i - t).sum(dim=1)), r"must be one number; its shape is \(6,\)"),
        (_call(lambda loss, i, t, s: 1.0), "must be a tensor, not float"),
        (_call(lambda loss, i, t, s: loss(i, t, s, None) + i[0, 0]), "changes with the order of the pairs"),
        (_call(lambda loss, i, t, s: -loss(i, t, s, None)), "equal their texts cost no less than any others"),
        (_call(lambda loss, i, t, s: loss(i, t.detach(), s, None)), "No gradient reaches `texts`"),
        ({"_in_chunks": lambda self, i, t, s, b: (i * t).sum() * s}, "A small `logits_per_chunk` gives another loss"),
    ],
)
def test_broken_main_losses_are_told(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_loss(type("Broken", (Main,), {"__doc__": "Something.", **changes}))


class Undocumented(PluginParams):
    factor: float = 1.0


class RootWeights(Sound):
    """Weights in the root."""

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__(params, sizes)
        self.gain = nn.Parameter(torch.ones(8))

    def features(self, seen: Seen) -> Any:
        return {"made": self.head(seen.pooled) * self.gain, "wanted": seen.texts}


class IdleWeights(Sound):
    """A layer that nothing uses."""

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__(params, sizes)
        self.spare = nn.Linear(2, 2)


class Trains(Sound):
    """Writes to what is trained."""

    def observe(self, *, progress: float) -> None:
        self.head.weight.add_(1)


class Forgets(Sound):
    """Depends on a number that is not saved."""

    built = 0

    def __init__(self, params: PluginParams, sizes: Sizes) -> None:
        super().__init__(params, sizes)
        Forgets.built += 1
        self.number = Forgets.built

    def forward(self, features: Mapping[str, Tensor]) -> Any:
        return super().forward(features) * self.number


def _features(change: Any) -> dict[str, Any]:
    return {"features": lambda self, seen: change(Sound.features(self, seen), seen)}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (type("B", (object,), {"__doc__": "Something."}), "Derive the auxiliary loss from nn.Module"),
        ({"Params": None}, "Declare `Params`, a class derived from PluginParams"),
        ({"Params": Undocumented}, r"Write a docstring under these parameters, .*\['factor'\]"),
        ({"fewest_views": None}, "Declare `fewest_views` on the class"),
        ({"wants_masker_features": None}, "Declare `wants_masker_features` on the class"),
        (RootWeights, r"Put these parameters into a submodule .*\['gain'\]"),
        (IdleWeights, r"No gradient reaches these parameters, .*\['spare\.weight', 'spare\.bias'\]"),
        (_features(lambda found, seen: list(found)), "must return a dict of tensors, not list"),
        (
            _features(lambda found, seen: {"made": found["made"].mT, **found, "n": torch.ones(2)}),
            r"must be the 6 images",
        ),
        (_features(lambda found, seen: {**found, "n": torch.tensor(1.0)}), "'n' of `features` has no dimension"),
        (_features(lambda found, seen: {**found, "made": found["made"] - found["made"].mean(0)}), "in the call only"),
        (
            {"features": lambda self, s: {"made": self.head(s.pooled.detach()), "wanted": s.texts.detach()}},
            "but itself",
        ),
        (Trains, "`observe` writes to trained parameters"),
        (Forgets, "keep what it depends on in parameters and buffers"),
    ],
)
def test_broken_auxiliary_losses_are_told(kind: Any, words: str) -> None:
    if isinstance(kind, dict):
        kind = type("Broken", (Sound,), {"__doc__": "Something.", **kind})
    with pytest.raises(AssertionError, match=words):
        check_loss(kind)
