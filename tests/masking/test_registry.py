from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from pgsclip import plugins
from pgsclip.errors import MaskerError, PluginError
from pgsclip.masking.maskers.none import KeepAll
from pgsclip.masking.maskers.pgs import PgsMasker
from pgsclip.masking.registry import build_masker


def test_parameters_arrive() -> None:
    masker = build_masker("pgs", {"candidate_share": 0.1, "edges": "canny"})
    assert isinstance(masker, PgsMasker)
    assert (masker.params.candidate_share, masker.params.edges) == (0.1, "canny")


@pytest.mark.parametrize("name", ["none", "random", "centered", "cluster", "pgs"])
def test_every_built_in_masker_is_registered_and_built_without_parameters(name: str) -> None:
    assert name in plugins.find(plugins.MASKERS)
    assert callable(build_masker(name))


def test_a_class_is_named_directly() -> None:
    assert isinstance(build_masker("pgsclip.masking.maskers.none:KeepAll"), KeepAll)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        (
            "pgs",
            {"candidate_shar": 1},
            r"'pgs' refuses its parameters: 'candidate_shar' is unknown\. Did you mean 'candidate_share'\?",
        ),
        (
            "pgs",
            {"zzz": 1},
            r"Allowed: candidate_share, edges, edge_scale, edge_weight, growth, border_bias, ",
        ),
        ("pgs", {"seed_share": 0.1}, r"parameters: 'seed_share' is called 'candidate_share' now\.$"),
        (
            "pgs",
            {"rim_pull": 1, "features": False},
            r"'border_bias' now\. 'features' is called 'use_embeddings' now\.$",
        ),
        ("pgs", {"growth": "sum"}, r"growth: 'sum' is called 'mean' now\.$"),
        ("pgs", {"growth": "median"}, r"growth: .*'mean' or 'max' \(given: 'median'\)"),
        ("cluster", {"features": True}, r"'features' is called 'use_embeddings' now"),
        ("salient", {"strange": 0.5}, r"'strange' is called 'background_quantile' now"),
        ("salient", {"rim_share": 0.5}, r"'rim_share' is called 'border_share' now"),
        ("random", {"a": 1}, r"'a' is unknown\. It has no parameters\."),
        ("pgs", {"temperature": 0.01}, r"temperature: .*greater than or equal to 0\.04 \(given: 0\.01\)"),
        ("pgs", {"candidate_share": 0}, r"candidate_share: .*greater than 0"),
        ("pgs", {"edges": "prewitt"}, r"edges: .*'sobel' or 'canny' \(given: 'prewitt'\)"),
        ("centered", {"covariance": "wide"}, r"covariance: .*valid number.*'wide'"),
    ],
)
def test_wrong_parameters_are_sentences(name: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(MaskerError, match=words):
        build_masker(name, params)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(MaskerError, match=r"(?s)iterations: .*'bogus' is unknown"):
        build_masker("pgs", {"iterations": 0, "bogus": 1})


def test_an_unknown_name_is_a_sentence() -> None:
    with pytest.raises(PluginError, match=r"Unknown masker 'pgz'\. Did you mean 'pgs'\?"):
        build_masker("pgz")


class WithoutParams:
    chooses_ratio: ClassVar[bool] = False


class WithoutChoice:
    Params = KeepAll.Params


class WithForeignParams:
    Params = BaseModel
    chooses_ratio: ClassVar[bool] = False


@pytest.mark.parametrize("kind", [WithoutParams, WithoutChoice, WithForeignParams, KeepAll(KeepAll.Params()), 7])
def test_what_is_no_masker_is_a_sentence(kind: object, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("somebody")
    module.Thing = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebody", module)
    with pytest.raises(
        MaskerError, match=r"'somebody:Thing' is not a masker: a masker is a class with Params .*check_m"
    ):
        build_masker("somebody:Thing")
