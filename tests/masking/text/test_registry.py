from __future__ import annotations

import re

import pytest
import torch

from pgsclip.errors import MaskerError, PluginError
from pgsclip.masking.text.frequency import FrequencyMasker
from pgsclip.masking.text.none import KeepAllWords
from pgsclip.masking.text.registry import build_text_masker
from pgsclip.masking.text.truncate import Truncate


def test_names_are_built_and_only_the_one_that_wants_counts_makes_a_pass() -> None:
    passes: list[int] = []

    def counts() -> torch.Tensor:
        passes.append(1)
        return torch.ones(9, dtype=torch.int64)

    assert isinstance(build_text_masker("none", {}, counts), KeepAllWords)
    assert isinstance(build_text_masker("truncate", {}, counts), Truncate)
    assert passes == []
    found = build_text_masker("frequency", {"threshold": 0.5}, counts)
    assert isinstance(found, FrequencyMasker)
    assert (passes, found.params.threshold) == ([1], 0.5)


class Old(KeepAllWords):
    """Takes its inputs one by one."""

    needs_counts = True

    def __call__(self, texts: torch.Tensor, lengths: torch.Tensor, **rest: object) -> torch.Tensor:  # type: ignore[override]
        return torch.zeros(texts.shape)


def test_one_of_before_0_1_0_is_told_what_changed_before_captions_are_counted() -> None:
    def counts() -> torch.Tensor:
        raise AssertionError("a pass over the captions was made")

    with pytest.raises(MaskerError, match=r"cannot be called: .*one TextMaskInputs since 0\.1\.0: use inputs\.ids"):
        build_text_masker(f"{__name__}:Old", {}, counts)


@pytest.mark.parametrize(
    ("name", "params", "error", "sentence"),
    [
        ("truncat", {}, PluginError, "Unknown text masker 'truncat'. Did you mean 'truncate'?"),
        (
            "truncate",
            {"words": 3},
            MaskerError,
            "The text masker 'truncate' refuses its parameters: 'words' is unknown.",
        ),
        ("frequency", {"threshold": 2}, MaskerError, "threshold: Input should be less than or equal to 1 (given: 2)"),
        ("frequency", {}, MaskerError, "needs how often each token stands in the captions"),
        ("pathlib:Path", {}, MaskerError, "'pathlib:Path' is not a text masker: that is a class with Params"),
    ],
)
def test_mistakes_are_sentences(name: str, params: dict[str, object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        build_text_masker(name, params)
