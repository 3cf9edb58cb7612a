from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest

from pgsclip import plugins
from pgsclip.config.params import PluginParams, check_params
from pgsclip.config.resolve import check
from pgsclip.errors import ConfigError, MaskerError, PluginError


class Params(PluginParams):
    strength: float = 1.0
    """How much."""


def test_all_mistakes_come_at_once_with_the_owner_and_the_nearest_name() -> None:
    with pytest.raises(PluginError) as caught:
        check_params("loss 'x' from theirs 1.2", Params, {"strength": "much", "strenth": 2}, PluginError)
    said = str(caught.value)
    assert said.startswith("The loss 'x' from theirs 1.2 refuses its parameters: ")
    assert "'strenth' is unknown. Did you mean 'strength'? Allowed: strength." in said
    assert "strength: Input should be a valid number, unable to parse string as a number (given: 'much')." in said
    assert check_params("x", Params, {"strength": 2.0}, PluginError).strength == 2.0


def test_plugins_of_a_run_are_named_alone_or_with_parameters_and_once() -> None:
    config = check({"loss": {"auxiliary": ["simclr", {"name": "superclip", "params": {"weight": 0.5}}]}})
    assert [(one.name, one.params) for one in config.loss.auxiliary] == [("simclr", {}), ("superclip", {"weight": 0.5})]
    with pytest.raises(ConfigError, match=r"log\.loggers: board is given twice"):
        check({"log": {"loggers": ["board", {"name": "board"}]}})


class _Renamed(PluginParams):
    renamed: ClassVar[Mapping[str, str]] = {"pull": "bias"}
    renamed_values: ClassVar[Mapping[str, Mapping[Any, Any]]] = {"growth": {"sum": "mean"}}

    bias: float = 1.0
    """How strongly."""
    growth: Literal["mean", "max"] = "mean"
    """What of many."""


def test_old_names_and_values_are_answered_with_the_new_ones_and_never_read() -> None:
    with pytest.raises(MaskerError) as mistake:
        check_params("masker 'x'", _Renamed, {"pull": 2.0, "growth": "sum"}, MaskerError)
    assert "'pull' is called 'bias' now." in str(mistake.value)
    assert "growth: 'sum' is called 'mean' now." in str(mistake.value)
    assert check_params("masker 'x'", _Renamed, {"growth": "max"}, MaskerError).growth == "max"


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_every_old_name_has_a_new_one_that_exists_and_is_itself_gone(group: str) -> None:
    own = [name for name, owners in plugins.find(group).items() if owners[0].distribution == plugins.OWN]
    for name in own:
        model = getattr(plugins.load(group, name), "Params", PluginParams)
        assert not model.renamed.keys() & model.model_fields.keys()
        assert set(model.renamed.values()) <= model.model_fields.keys()
        for field, values in model.renamed_values.items():
            for new in values.values():
                check_params(name, model, {field: new}, MaskerError)
