"""What breaks the contract in a run ends in a sentence that names the distribution."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor

import pgsclip
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.testing.stub_tower import StubTower

Rule = Callable[[Tensor, Generator], Any]


class Params(MaskerParams):
    strength: float = 1.0
    """How much."""


class Theirs:
    Params: ClassVar[type[MaskerParams]] = Params
    chooses_ratio: ClassVar[bool] = True
    rule: ClassVar[Any] = None

    def __init__(self, params: MaskerParams) -> None:
        pass

    def __call__(self, inputs: MaskInputs) -> Any:
        return type(self).rule(inputs.uniform(), inputs.generator)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Theirs]:
    """A masker `mine` of an installed distribution."""
    info = tmp_path / "their_maskers-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-maskers\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[pgsclip.maskers]\nmine = their_maskers:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = ModuleType("their_maskers")
    module.Mine = type("Mine", (Theirs,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_maskers", module)
    return module.Mine  # type: ignore[no-any-return, attr-defined]


def keep(ratio: Any = 0.5) -> Any:
    return pgsclip.masker("mine").keep(torch.zeros(3, 3, 32, 32), patch_size=8, ratio=ratio)


NAN = torch.tensor(float("nan"))
BROKEN: list[tuple[str, Rule, str]] = [
    ("kind", lambda s, g: s, r"returned Tensor and not MaskScores"),
    (
        "shape",
        lambda s, g: MaskScores(s[:, 1:]),
        r"gave scores of the shape \(3, 15\) for 3 images of 16 patches; expec",
    ),
    ("rows", lambda s, g: MaskScores(s[:2]), r"gave scores of the shape \(2, 16\)"),
    ("ratio", lambda s, g: MaskScores(s, s), r"gave ratios of the shape \(3, 16\) .*; expected \(3,\)"),
    ("features", lambda s, g: MaskScores(s, None, s[:2]), r"gave features of the shape \(2, 16\)"),
    ("nan", lambda s, g: MaskScores(s * NAN), r"gave 48 NaN or infinite scores of 48, which have no order"),
    ("nan ratio", lambda s, g: MaskScores(s, s[:, 0] / 0), r"gave 3 NaN or infinite scores of 51"),
    ("global", lambda s, g: MaskScores(torch.rand(s.shape)), r"draws from torch's global generator"),
]


@pytest.mark.parametrize(("rule", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_masker_that_breaks_its_contract_is_named_with_its_distribution(
    rule: Rule, words: str, theirs: type[Theirs]
) -> None:
    theirs.rule = staticmethod(rule)
    with pytest.raises(MaskerError, match=rf"^The masker 'mine' from their-maskers 1\.2 {words}"):
        keep()


class Old(Theirs):
    def __call__(self, images: Tensor, patches: Tensor, *, progress: float, generator: Generator) -> Any:  # type: ignore[override]
        return MaskScores(torch.rand(patches.shape[:2], generator=generator))


def test_one_of_before_0_1_0_is_told_what_changed_before_anything_is_scored(theirs: type[Theirs]) -> None:
    sys.modules["their_maskers"].Mine = Old  # type: ignore[attr-defined]
    with pytest.raises(
        MaskerError, match=r"'mine' from their-maskers 1\.2 cannot be called: .*one MaskInputs.*use inputs\.images"
    ):
        pgsclip.masker("mine")


def test_one_that_keeps_it_is_left_alone(theirs: type[Theirs]) -> None:
    theirs.rule = staticmethod(lambda scores, generator: MaskScores(scores, scores[:, 0], scores))
    assert keep().shape == (3, 8)
    assert len(keep("0.3:0.5")) == 3


def test_refused_parameters_name_the_distribution_too(theirs: type[Theirs]) -> None:
    with pytest.raises(
        MaskerError, match=r"The masker 'mine' from their-maskers 1.2 refuses its parameters: 'strenth'"
    ):
        pgsclip.masker("mine", strenth=2.0)
    theirs.Params = int  # type: ignore[assignment]
    with pytest.raises(MaskerError, match=r"'mine' from their-maskers 1.2 is not a masker"):
        pgsclip.masker("mine")


class Following(Theirs):
    def start(self, vision: Any) -> None:
        self.vision = vision

    def observe(self, vision: Any, *, progress: float) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        raise RuntimeError("size mismatch\n\tfor proj")


def test_one_with_a_model_says_what_it_lacks_and_whether_its_state_fits(theirs: type[Theirs]) -> None:
    sys.modules["their_maskers"].Mine = Following  # type: ignore[attr-defined]
    Following.rule = staticmethod(lambda scores, generator: MaskScores(scores))
    with pytest.raises(
        MaskerError, match=r"'mine' looks with a copy of the model that is trained, .*Give a checkpoint"
    ):
        keep()
    handle = pgsclip.masker("mine")
    with pytest.raises(
        MaskerError, match=r"state of the masker 'mine' from their-maskers 1.2 in the checkpoint does not fit: size m"
    ):
        handle.start(StubTower(8), {"proj": torch.zeros(1)})
    handle.start(StubTower(8))
    assert handle.keep(torch.zeros(1, 3, 32, 32), patch_size=8).shape == (1, 8)  # type: ignore[union-attr]
