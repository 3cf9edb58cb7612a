from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from pgsclip.masking.contract import Masker, MaskerParams, MaskScores
from pgsclip.masking.maskers.random import RandomMasker


class NoiseParams(MaskerParams):
    noise: float = 0.5
    """How much chance."""


def test_params_are_frozen() -> None:
    params = NoiseParams()
    with pytest.raises(ValidationError, match="frozen"):
        params.noise = 0.1  # type: ignore[misc]


def test_unknown_params_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        NoiseParams(nois=0.1)  # type: ignore[call-arg]


def test_the_docstring_under_a_field_is_its_help() -> None:
    assert NoiseParams.model_fields["noise"].description == "How much chance."


def test_a_ratio_per_image_is_optional() -> None:
    assert MaskScores(torch.zeros(1, 4)).ratio is None


def test_the_protocol_can_be_asked_for() -> None:
    assert isinstance(RandomMasker(MaskerParams()), Masker)
    assert not isinstance(object(), Masker)
