from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsclip.config.ratio import Ratio


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        (0.5, (0.5, 0.5)),
        ("0.5", (0.5, 0.5)),
        (0, (0.0, 0.0)),
        ("0.3:0.5", (0.3, 0.5)),
        ((0.3, 0.5), (0.3, 0.5)),
        ([0.2], (0.2, 0.2)),
        (Ratio(0.1, 0.2), (0.1, 0.2)),
    ],
)
def test_forms(given_as: object, expected: tuple[float, float]) -> None:
    assert Ratio.parse(given_as) == expected


@pytest.mark.parametrize(
    ("given_as", "words"),
    [
        ("half", "'half' is not a ratio; give a share in"),
        ("0.1:0.2:0.3", "is not a ratio"),
        (None, "None is not a ratio"),
        (1, r"1 is outside \[0, 1\): the ratio is the share removed"),
        ("-0.1", r"outside \[0, 1\)"),
        (float("nan"), r"outside \[0, 1\)"),
        ("0.5:0.3", "runs backwards; did you mean 0.3:0.5"),
    ],
)
def test_mistakes_are_sentences(given_as: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Ratio.parse(given_as)


@given(st.floats(0, 0.99), st.floats(0, 0.99))
def test_text_form_reads_back(first: float, second: float) -> None:
    low, high = sorted((round(first, 3), round(second, 3)))
    ratio = Ratio(low, high)
    assert Ratio.parse(str(ratio)) == ratio
    assert ratio.is_range == (low < high)
