from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip import plugins
from pgsclip.errors import PluginError
from pgsclip.version import __version__


def install(folder: Path, distribution: str, points: str, needs: str = "") -> None:
    """What pip leaves behind of a distribution with these maskers, enough for its metadata to be found."""
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{needs}")
    (info / "entry_points.txt").write_text(f"[pgsclip.maskers]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_built_in_maskers_come_through_the_same_door() -> None:
    found = plugins.available(plugins.MASKERS)
    assert {"none", "random", "centered", "cluster", "pgs"} <= set(found)
    assert found["pgs"][0].distribution == "pgsclip"


def test_a_third_party_is_found_by_metadata_without_importing_it(site: Path) -> None:
    install(site, "other-maskers", "mine = other_maskers_that_explode:Mine")
    (site / "other_maskers_that_explode.py").write_text("raise RuntimeError('imported')")
    plugin = plugins.available(plugins.MASKERS)["mine"][0]
    assert (plugin.distribution, plugin.version) == ("other-maskers", "1.2")


def test_only_the_name_of_a_broken_plugin_fails(site: Path) -> None:
    install(site, "broken", "bad = broken_masker_module:Mine\ngood = pathlib:Path")
    (site / "broken_masker_module.py").write_text("raise RuntimeError('no GPU library')")
    assert plugins.load(plugins.MASKERS, "good") is Path
    with pytest.raises(
        PluginError, match=r"The masker 'bad' from broken 1.2 could not be loaded: RuntimeError: no GPU"
    ):
        plugins.load(plugins.MASKERS, "bad")


def test_a_name_with_two_owners_names_both(site: Path) -> None:
    install(site, "first", "mine = pathlib:Path")
    install(site, "second", "mine = pathlib:PurePath")
    with pytest.raises(PluginError, match=r"'mine' is claimed twice among the maskers, by (first|second) 1.2 and"):
        plugins.load(plugins.MASKERS, "mine")


def test_a_copy_of_a_distribution_further_down_the_path_is_no_second_owner(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "mine", "mine = pathlib:PurePath")
    newer = tmp_path_factory.mktemp("newer")
    install(newer, "mine", "mine = pathlib:Path")
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
def test_a_plugin_for_another_version_says_so_before_it_is_imported(site: Path, needs: str) -> None:
    extra = 'Requires-Dist: pgsclip[test]>=99; extra == "test"\nRequires-Dist: pgsclip-other>=5\n'
    install(site, "late", "mine = module_that_explodes:Mine", f"Requires-Dist: {needs}\n{extra}")
    install(site, "fine", "good = pathlib:Path", f"Requires-Dist: pgsclip>=0.1\n{extra}")
    with pytest.raises(
        PluginError, match=rf"'mine' from late 1.2 is made for pgsclip.* and this is pgsclip {__version__}"
    ):
        plugins.load(plugins.MASKERS, "mine")
    assert plugins.load(plugins.MASKERS, "good") is Path


def test_the_version_is_that_of_the_code_and_not_of_an_older_install(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "ahead", "mine = pathlib:Path", "Requires-Dist: pgsclip>=77.1\n")
    monkeypatch.setattr(plugins, "__version__", "77.2")  # an editable install keeps the metadata of its first day
    assert plugins.load(plugins.MASKERS, "mine") is Path
    assert plugins.available(plugins.MASKERS)["pgs"][0].version == "77.2"


@pytest.mark.parametrize("given", ["", "other-one", "other-one, nobody"])
def test_plugins_that_are_switched_off_say_so(site: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "Some.Maskers", "mine = pathlib:Path")
    monkeypatch.setenv("PGSCLIP_PLUGINS", given)
    assert "mine" not in plugins.available(plugins.MASKERS)
    assert "pgs" in plugins.available(plugins.MASKERS)
    assert "Some.Maskers" in plugins.switched_off()
    with pytest.raises(PluginError, match=r"'mine' from Some.Maskers 1.2 is switched off by PGSCLIP_PLUGINS='.*Add S"):
        plugins.load(plugins.MASKERS, "mine")
    assert plugins.not_installed() == sorted(word.strip() for word in given.split(",") if word)


def test_plugins_that_are_let_in_settle_a_name_that_is_claimed_twice(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "first", "mine = pathlib:Path")
    install(site, "second-one", "mine = pathlib:PurePath")
    with pytest.raises(PluginError, match="leave it out of PGSCLIP_PLUGINS"):
        plugins.load(plugins.MASKERS, "mine")
    monkeypatch.setenv("PGSCLIP_PLUGINS", "Second_One")
    assert plugins.load(plugins.MASKERS, "mine").__name__ == "PurePath"


def test_sentences_name_where_a_plugin_comes_from(site: Path) -> None:
    install(site, "theirs", "mine = pathlib:Path")
    assert plugins.described(plugins.MASKERS, "mine") == "masker 'mine' from theirs 1.2"
    assert plugins.described(plugins.MASKERS, "pgs") == "masker 'pgs'"
    assert plugins.described(plugins.LOSSES, "a.module:Class") == "loss 'a.module:Class'"
    assert [plugins.kind_of(group) for group in plugins.GROUPS] == ["masker", "text masker", "loss", "logger"]
