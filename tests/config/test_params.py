from __future__ import annotations

import pytest

from pgsclip.config.params import PluginParams, checked_params
from pgsclip.config.resolve import check
from pgsclip.errors import ConfigError, PluginError


class Params(PluginParams):
    strength: float = 1.0
    """How much."""


def test_all_mistakes_come_at_once_with_the_owner_and_the_nearest_name() -> None:
    with pytest.raises(PluginError) as caught:
        checked_params("loss 'x' from theirs 1.2", Params, {"strength": "much", "strenth": 2}, PluginError)
    said = str(caught.value)
    assert said.startswith("The loss 'x' from theirs 1.2 refuses its parameters: ")
    assert "'strenth' is unknown. Did you mean 'strength'? Allowed: strength." in said
    assert "strength: Input should be a valid number, unable to parse string as a number (given: 'much')." in said
    assert checked_params("x", Params, {"strength": 2.0}, PluginError).strength == 2.0


def test_plugins_of_a_run_are_named_alone_or_with_parameters_and_once() -> None:
    config = check({"loss": {"auxiliary": ["simclr", {"name": "superclip", "params": {"weight": 0.5}}]}})
    assert [(one.name, one.params) for one in config.loss.auxiliary] == [("simclr", {}), ("superclip", {"weight": 0.5})]
    with pytest.raises(ConfigError, match=r"log\.loggers: board is given twice"):
        check({"log": {"loggers": ["board", {"name": "board"}]}})
