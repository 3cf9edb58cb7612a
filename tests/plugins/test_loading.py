from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip import plugins
from pgsclip.errors import MaskerError, PluginError
from pgsclip.plugins import loading
from pgsclip.version import __version__

Install = Callable[..., None]


def test_only_the_name_of_a_broken_plugin_fails(site: Path, install: Install) -> None:
    install("broken", "bad = broken_masker_module:Mine\ngood = pathlib:Path")
    (site / "broken_masker_module.py").write_text("raise RuntimeError('no GPU library')")
    assert plugins.load(plugins.MASKERS, "good") is Path
    with pytest.raises(
        PluginError, match=r"The masker 'bad' from broken 1.2 could not be loaded: RuntimeError: no GPU"
    ):
        plugins.load(plugins.MASKERS, "bad")


def test_a_name_with_two_owners_names_both(install: Install) -> None:
    install("first", "mine = pathlib:Path")
    install("second", "mine = pathlib:PurePath")
    with pytest.raises(PluginError, match=r"'mine' is claimed twice among the maskers, by (first|second) 1.2 and"):
        plugins.load(plugins.MASKERS, "mine")


def test_a_copy_of_a_distribution_further_down_the_path_is_no_second_owner(
    install: Install, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("mine", "mine = pathlib:PurePath")
    newer = tmp_path_factory.mktemp("newer")
    install("mine", "mine = pathlib:Path", folder=newer)
    monkeypatch.syspath_prepend(str(newer))
    assert plugins.load(plugins.MASKERS, "mine") is Path


def test_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(PluginError, match=r"Unknown masker 'rndom'. Did you mean 'random'\? Installed: .*cluster"):
        plugins.load(plugins.MASKERS, "rndom")
    with pytest.raises(PluginError, match=r"Unknown loss 'clp'. Did you mean 'clip'\?"):
        plugins.load(plugins.LOSSES, "clp")


def test_a_class_can_be_named_directly() -> None:
    assert plugins.load(plugins.MASKERS, "pathlib:Path") is Path
    with pytest.raises(PluginError, match="'nowhere:Thing' could not be imported: ModuleNotFoundError"):
        plugins.load(plugins.MASKERS, "nowhere:Thing")
    with pytest.raises(PluginError, match="'pathlib:Nothing' could not be imported: AttributeError"):
        plugins.load(plugins.MASKERS, "pathlib:Nothing")


@pytest.mark.parametrize("needs", ["pgsclip>=9", "pgsclip (>=9)", "pgsclip ==0.0.1"])
def test_a_plugin_for_another_version_says_so_before_it_is_imported(install: Install, needs: str) -> None:
    extra = 'Requires-Dist: pgsclip[test]>=99; extra == "test"\nRequires-Dist: pgsclip-other>=5\n'
    install("late", "mine = module_that_explodes:Mine", f"Requires-Dist: {needs}\n{extra}")
    install("fine", "good = pathlib:Path", f"Requires-Dist: pgsclip>=0.1\n{extra}")
    with pytest.raises(
        PluginError, match=rf"'mine' from late 1.2 is made for pgsclip.* and this is pgsclip {__version__}"
    ):
        plugins.load(plugins.MASKERS, "mine")
    assert plugins.load(plugins.MASKERS, "good") is Path


def test_plugins_that_are_let_in_settle_a_name_that_is_claimed_twice(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("first", "mine = pathlib:Path")
    install("second-one", "mine = pathlib:PurePath")
    with pytest.raises(PluginError, match="leave it out of PGSCLIP_PLUGINS"):
        plugins.load(plugins.MASKERS, "mine")
    monkeypatch.setenv("PGSCLIP_PLUGINS", "Second_One")
    assert plugins.load(plugins.MASKERS, "mine").__name__ == "PurePath"


def test_sentences_name_where_a_plugin_comes_from(install: Install) -> None:
    install("theirs", "mine = pathlib:Path")
    assert plugins.describe(plugins.MASKERS, "mine") == "masker 'mine' from theirs 1.2"
    assert plugins.describe(plugins.MASKERS, "pgs") == "masker 'pgs'"
    assert plugins.describe(plugins.LOSSES, "a.module:Class") == "loss 'a.module:Class'"


def test_the_version_that_fits_is_that_of_the_code_and_not_of_an_older_install(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("ahead", "mine = pathlib:Path", "Requires-Dist: pgsclip>=77.1\n")
    monkeypatch.setattr(loading, "__version__", "77.2")
    assert plugins.load(plugins.MASKERS, "mine") is Path


class Stateful:
    def load_state_dict(self, state: dict[str, int]) -> None:
        self.mean = state["mean"]


def test_a_state_is_loaded_or_its_plugin_is_named(install: Install) -> None:
    install("theirs", "mine = pathlib:Path")
    one = Stateful()
    plugins.load_state(plugins.MASKERS, "mine", one, {"mean": 3}, MaskerError)
    assert one.mean == 3
    with pytest.raises(MaskerError, match=r"state of the masker 'mine' from theirs 1.2 .* does not fit: 'mean'"):
        plugins.load_state(plugins.MASKERS, "mine", one, {}, MaskerError)
