"""The kit must catch each way to break the contract, with words that say what to change."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from pydantic import BaseModel
from torch import Generator, Tensor

from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.registry import build_masker
from pgsclip.testing import check_masker

Rule = Callable[[Tensor, Tensor, Generator], Any]


class Sound:
    """Contrast and a little chance: passes; the broken ones differ from it in one thing."""

    Params: ClassVar[Any] = MaskerParams
    chooses_ratio: ClassVar[Any] = False

    def __init__(self, rule: Rule | None = None) -> None:
        self.rule = rule or (lambda images, patches, generator: MaskScores(_noise(patches, generator)))

    def __call__(self, inputs: MaskInputs) -> Any:
        return self.rule(inputs.images, inputs.patches, inputs.generator)


class Chooser(Sound):
    """Also chooses its ratio."""

    chooses_ratio = True


def _noise(patches: Tensor, generator: Generator) -> Tensor:
    return torch.rand(patches.shape[:2], generator=generator)


def _writes_images(images: Tensor, patches: Tensor, generator: Generator) -> MaskScores:
    images.mul_(0.5)
    return MaskScores(_noise(patches, generator))


def _writes_patches(images: Tensor, patches: Tensor, generator: Generator) -> MaskScores:
    patches[:, 0] += 1
    return MaskScores(_noise(patches, generator))


def _burns_global_chance(images: Tensor, patches: Tensor, generator: Generator) -> MaskScores:
    torch.rand(1)
    return MaskScores(_noise(patches, generator))


def _flat_divides_by_zero(images: Tensor, patches: Tensor, generator: Generator) -> MaskScores:
    spread = patches.float().amax(dim=(1, 2)) - patches.float().amin(dim=(1, 2))
    return MaskScores(_noise(patches, generator) / spread[:, None])


BROKEN: list[tuple[str, Rule, str]] = [
    ("tensor", lambda i, p, g: _noise(p, g), r"Return MaskScores, not Tensor\."),
    ("wide", lambda i, p, g: MaskScores(_noise(p, g)[:, :-1]), r"one score per patch, \(3, 24\); .*\(3, 23\)"),
    ("flat", lambda i, p, g: MaskScores(_noise(p, g).flatten()), r"one score per patch"),
    ("nan", lambda i, p, g: MaskScores(_noise(p, g) * torch.nan), r"NaN or infinite scores; divide by max"),
    ("infinite", lambda i, p, g: MaskScores(_noise(p, g) / 0), r"NaN or infinite scores"),
    ("grad", lambda i, p, g: MaskScores(_noise(p, g).requires_grad_()), r"carries a gradient; .*no_grad\(\) or detach"),
    ("global", lambda i, p, g: MaskScores(torch.rand(p.shape[:2])), r"same generator state differ: draw all chance"),
    (
        "python",
        lambda i, p, g: MaskScores(_noise(p, g) + random.random()),
        r"same generator state differ: draw all chance from `inputs.generator`",
    ),
    ("burns", _burns_global_chance, r"torch's global generator; pass generator=inputs.generator"),
    (
        "seedless",
        lambda i, p, g: MaskScores(p.float().sum(dim=2)),
        r"Other generator states give the same .*random=False",
    ),
    ("writes images", _writes_images, r"writes into `inputs.images`; work on a copy"),
    ("writes patches", _writes_patches, r"writes into `inputs.patches`; work on a copy"),
    (
        "bfloat16",
        lambda i, p, g: MaskScores(_noise(p, g).to(p.dtype)),
        r"With bfloat16 input the scores are torch\.bfloat16; compute in float32",
    ),
    (
        "batch mean",
        lambda i, p, g: MaskScores(_noise(p, g) + p.float().mean()),
        r"scores changes with the other images of its batch; never reduce over the batch",
    ),
    ("constant image", _flat_divides_by_zero, r"A constant image \(0\.0\) gives scores that are not finite"),
]

BROKEN_RATIO: list[tuple[str, Rule, str]] = [
    ("missing", lambda i, p, g: MaskScores(_noise(p, g)), r"chooses_ratio is True but the scores carry no `ratio`"),
    ("shape", lambda i, p, g: MaskScores(_noise(p, g), _noise(p, g)), r"one share per image, \(3,\); .*\(3, 24\)"),
    ("percent", lambda i, p, g: MaskScores(_noise(p, g), torch.full((len(p),), 50.0)), r"must lie in \[0, 1\]"),
    ("nan", lambda i, p, g: MaskScores(_noise(p, g), torch.full((len(p),), torch.nan)), r"must lie in \[0, 1\]"),
    (
        "batch mean",
        lambda i, p, g: MaskScores(_noise(p, g), p.float().mean().sigmoid().expand(len(p))),
        r"ratio changes with the other images",
    ),
]


def test_a_sound_masker_passes() -> None:
    check_masker(Sound())
    check_masker(Chooser(lambda i, p, g: MaskScores(_noise(p, g), p.float().std(dim=(1, 2), correction=0).sigmoid())))


@pytest.mark.parametrize(("rule", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken_scores_are_told(rule: Rule, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_masker(Sound(rule))


@pytest.mark.parametrize(("rule", "words"), [c[1:] for c in BROKEN_RATIO], ids=[c[0] for c in BROKEN_RATIO])
def test_broken_ratios_are_told(rule: Rule, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_masker(Chooser(rule))


def test_a_masker_without_chance_says_so() -> None:
    check_masker(Sound(lambda i, p, g: MaskScores(p.float().sum(dim=2))), random=False)


class Undocumented(MaskerParams):
    strength: float = 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Params": None}, r"Declare `Params`, a class derived from MaskerParams"),
        ({"Params": BaseModel}, r"Params must derive from MaskerParams, not"),
        ({"Params": int}, r"Params must derive from MaskerParams, not"),
        ({"Params": Undocumented}, r"Write a docstring under these parameters, .*\['strength'\]"),
        ({"chooses_ratio": None}, r"Declare `chooses_ratio` on the masker's class"),
        ({"__doc__": ""}, r"Write a docstring on the masker's class"),
    ],
)
def test_missing_declarations_are_told(changes: dict[str, Any], words: str) -> None:
    kind = type("Broken", (Sound,), {"__doc__": "Something.", **changes})
    with pytest.raises(AssertionError, match=words):
        check_masker(kind())


class RemembersItsBatch(Sound):
    """Counts its calls."""

    calls = 0

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        self.calls += 1
        return MaskScores(inputs.uniform() + self.calls)


def test_state_between_calls_is_told() -> None:
    with pytest.raises(AssertionError, match="keep no state between calls"):
        check_masker(RemembersItsBatch())


class Old(Sound):
    """Takes its inputs one by one."""

    def __call__(self, images: Tensor, patches: Tensor, *, progress: float, generator: Generator) -> Any:  # type: ignore[override]
        return MaskScores(_noise(patches, generator))


def test_what_changed_in_the_call_is_told() -> None:
    with pytest.raises(AssertionError, match=r"`__call__` takes one MaskInputs since 0\.1\.0: use inputs\.images"):
        check_masker(Old())


class Follows(Sound):
    """Scores with weights that follow the tower's."""

    def start(self, vision: Any) -> None:
        self.twin = vision.copy()

    def observe(self, vision: Any, *, progress: float) -> None:
        self.twin.tower.weight.lerp_(vision.tower.weight.detach(), 0.5)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.twin.tower.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.twin.tower.load_state_dict(state)

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return MaskScores(self.twin.attend(inputs.images)[1].mean(dim=(1, 2)) + 1e-3 * inputs.uniform())


class WritesToTheTower(Follows):
    """Trains what it may only read."""

    def observe(self, vision: Any, *, progress: float) -> None:
        with torch.no_grad():
            vision.tower.weight.mul_(0.5)


class ForgetsSomething(Follows):
    """Its state lacks the bias."""

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self.twin.tower.weight}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.twin.tower.load_state_dict(state, strict=False)


class SavesMoreThanTensors(Follows):
    """Its state would have to be pickled."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": 3}


def test_a_masker_with_a_model_of_its_own_passes() -> None:
    check_masker(Follows())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (WritesToTheTower, r"`observe` writes to the weights of the tower; read them only"),
        (ForgetsSomething, r"loads the state scores otherwise: `state_dict` must hold all"),
        (SavesMoreThanTensors, r"must hold tensors only, as it is saved without pickles; not so: \['steps'\]"),
        (
            type("Half", (Sound,), {"__doc__": "Something.", "start": lambda self, vision: None}),
            r"A masker with `start` .* also needs observe, state_dict, load_state_dict\.",
        ),
    ],
)
def test_a_state_that_would_be_lost_is_told(kind: type[Sound], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_masker(kind())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("none", {}),
        ("random", {}),
        ("centered", {}),
        ("centered", {"covariance": 0.01}),
        ("cluster", {}),
        ("cluster", {"use_embeddings": False, "anchor_share": 0.5}),
        ("pgs", {}),
        ("pgs", {"edges": "canny"}),
        ("pgs", {"edges": False}),
        ("pgs", {"transport": False}),
        ("pgs", {"use_embeddings": False}),
        ("pgs", {"edges": False, "transport": False, "use_embeddings": False}),
    ],
)
def test_every_built_in_masker_keeps_the_contract(name: str, params: dict[str, Any]) -> None:
    check_masker(build_masker(name, params))
