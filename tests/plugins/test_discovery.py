from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip import plugins
from pgsclip.errors import PluginError
from pgsclip.plugins import discovery

Install = Callable[..., None]


def test_built_in_maskers_come_through_the_same_door() -> None:
    found = plugins.find(plugins.MASKERS)
    assert {"none", "random", "centered", "cluster", "pgs"} <= set(found)
    assert found["pgs"][0].distribution == "pgsclip"


def test_a_third_party_is_found_by_metadata_without_importing_it(site: Path, install: Install) -> None:
    install("other-maskers", "mine = other_maskers_that_explode:Mine")
    (site / "other_maskers_that_explode.py").write_text("raise RuntimeError('imported')")
    plugin = plugins.find(plugins.MASKERS)["mine"][0]
    assert (plugin.distribution, plugin.version) == ("other-maskers", "1.2")


@pytest.mark.parametrize("given", ["", "other-one", "other-one, nobody"])
def test_plugins_that_are_switched_off_say_so(install: Install, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install("Some.Maskers", "mine = pathlib:Path")
    monkeypatch.setenv("PGSCLIP_PLUGINS", given)
    assert "mine" not in plugins.find(plugins.MASKERS)
    assert "pgs" in plugins.find(plugins.MASKERS)
    assert "Some.Maskers" in plugins.list_switched_off()
    with pytest.raises(PluginError, match=r"'mine' from Some.Maskers 1.2 is switched off by PGSCLIP_PLUGINS='.*Add S"):
        plugins.load(plugins.MASKERS, "mine")
    assert plugins.list_missing() == sorted(word.strip() for word in given.split(",") if word)


def test_our_own_version_is_that_of_the_code_and_not_of_an_older_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "__version__", "77.2")  # an editable install keeps the metadata of its first day
    assert plugins.find(plugins.MASKERS)["pgs"][0].version == "77.2"
