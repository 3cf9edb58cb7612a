from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgsclip import plugins
from pgsclip.config.recipes import list_recipe_names, read_recipe_text
from pgsclip.config.resolve import check, resolve
from pgsclip.version import __version__


def install(folder: Path, distribution: str, point: str) -> None:
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[pgsclip.maskers]\n{point}\n")


def test_maskers_says_what_each_does_and_how_to_set_it(cli: Callable[..., Any]) -> None:
    said = cli("maskers")
    assert said.code == 0
    blocks = {block.split()[0]: block for block in said.out.replace("\n    ", "\t").splitlines()}
    assert {"none", "random", "centered", "cluster", "pgs"} <= set(blocks)
    assert f"(pgsclip {__version__})" in blocks["random"]
    assert "--ratio R or LO:HI" in blocks["pgs"]
    assert "LO:HI" not in blocks["random"]
    assert "--set masker.params.candidate_share=0.05  " in blocks["pgs"]
    assert "--set masker.params.transport=true" in blocks["pgs"]


def test_every_setting_is_listed_with_its_default(cli: Callable[..., Any]) -> None:
    listed: dict[str, dict[str, Any]] = {}
    for line in cli("maskers").out.splitlines():
        if not line.startswith(" "):
            name = line.split()[0]
            listed[name] = {}
        elif "--set " in line:
            key, _, value = line.split("--set ")[1].split("  ")[0].partition("=")
            listed[name][key.rpartition(".")[2]] = yaml.safe_load(value)
    assert listed["pgs"]
    for name, params in listed.items():
        kind = plugins.load(plugins.MASKERS, name).Params
        assert params.keys() == kind.model_fields.keys()
        assert kind(**params) == kind()


def test_a_broken_plugin_is_listed_as_broken_beside_the_others(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "broken", "bad = module_that_is_not_there:Mine")
    install(tmp_path, "odd", "odd = pathlib:Path")
    said = cli("maskers")
    assert said.code == 0
    assert "bad  (broken 1.2)\n    does not work: The masker 'bad' from broken 1.2 could not be loaded" in said.out
    assert "odd  (odd 1.2)\n    does not work:" in said.out
    assert "pgs  (pgsclip" in said.out


def test_a_name_with_two_owners_says_how_to_choose(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "other", "random = pgsclip.masking.maskers.random:RandomMasker")
    said = cli("maskers")
    assert "random  (other 1.2)" in said.out
    assert "--masker pgsclip.masking.maskers.random:RandomMasker" in said.out


def test_recipes_are_listed_with_their_first_line(cli: Callable[..., Any]) -> None:
    said = cli("recipes")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == list_recipe_names()
    assert all(len(line.split()) > 4 for line in said.out.splitlines())


@pytest.mark.parametrize("name", list_recipe_names())
def test_a_shown_recipe_is_a_recipe_again(cli: Callable[..., Any], name: str) -> None:
    said = cli("recipes", "show", name)
    assert said.code == 0
    assert said.out.startswith("# ")
    assert check(yaml.safe_load(said.out)).optim.lr > 0


def test_an_unknown_recipe_suggests_the_nearest(cli: Callable[..., Any]) -> None:
    said = cli("recipes", "show", "smok")
    assert said.code == 2
    assert said.err.startswith("pgsclip: There is no recipe 'smok'. Did you mean 'smoke'?")


def test_maskers_of_captions_have_a_list_of_their_own(cli: Callable[..., Any]) -> None:
    said = cli("maskers", "--text")
    assert said.code == 0, said.err
    names = [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")]
    assert names == ["frequency", "none", "truncate"]
    assert "    Keeps rare words more often than common ones (CLIPF)." in said.out
    assert "    --set text.masker=frequency --set text.max_tokens=N" in said.out
    assert "    --set text.params.threshold=1e-06  Frequency up to which" in said.out


def test_a_copied_recipe_is_the_same_recipe_and_overwrites_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli("recipes", "copy", "cc12m-vit-b16-pgs-0.5")
    assert said.code == 0
    assert "pgsclip config check cc12m-vit-b16-pgs-0.5.yaml" in said.out
    assert (tmp_path / "cc12m-vit-b16-pgs-0.5.yaml").read_text() == read_recipe_text("cc12m-vit-b16-pgs-0.5")
    copied, shipped = (resolve(name, {}) for name in ("cc12m-vit-b16-pgs-0.5.yaml", "cc12m-vit-b16-pgs-0.5"))
    assert copied.model_copy(update={"recipe": None}) == shipped.model_copy(update={"recipe": None})
    said = cli("recipes", "copy", "smoke", "cc12m-vit-b16-pgs-0.5.yaml")
    assert said.code == 2
    assert "exists and is not overwritten" in said.err
    assert "cannot be written to no/where.yaml: No such file" in cli("recipes", "copy", "smoke", "no/where.yaml").err
