from __future__ import annotations

import re

import pytest

from pgsclip.errors import MaskerError, PluginError
from pgsclip.masking.masker_syntax import parse_masker


def test_a_masker_is_typed_with_its_parameters() -> None:
    handle = parse_masker("pgs  edges=false edge_weight=0.25 growth=max")
    assert handle.name == "pgs edges=false edge_weight=0.25 growth=max"
    params = handle.masker.params  # type: ignore[attr-defined]
    assert (params.edges, params.edge_weight, params.growth, params.transport) == (False, 0.25, "max", True)
    assert parse_masker("random").name == "random"
    assert parse_masker("pgs landmarks=null").masker.params.landmarks is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("pgs edges", MaskerError, "'edges' in 'pgs edges' is no parameter; write name, then key=value"),
        ("pgs edge=1", MaskerError, "'edge' is unknown. Did you mean 'edges'?"),
        ("pgs edges=[", MaskerError, "The value of 'edges=[' in 'pgs edges=[' cannot be read"),
        ("", PluginError, "Unknown masker ''"),
        ("pgss", PluginError, "Did you mean 'pgs'"),
    ],
)
def test_a_masker_typed_wrongly_is_a_sentence(text: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        parse_masker(text)
