from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.cli.new_plugin import write_plugin
from pgsclip.errors import PluginError

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def test_a_new_plugin_is_installed_found_and_passes_its_own_tests(cli: Cli, tmp_path: Path) -> None:
    said = cli("plugins", "new", "bright-sky")
    assert said.code == 0
    assert "pgsclip viz-mask photo.jpg --masker bright-sky" in said.out
    source = tmp_path / "bright-sky" / "src"
    assert len((source / "pgsclip_bright_sky" / "__init__.py").read_text().splitlines()) <= 30
    for path in (tmp_path / "bright-sky").rglob("*.*"):
        assert "ontrast" not in (path.name + path.read_text() if path.is_file() else path.name)
        assert "emplate" not in (path.name + path.read_text() if path.is_file() else path.name)
    # what pip writes, so that its name is found without a network for the build backend
    info = source / "pgsclip_bright_sky-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pgsclip-bright-sky\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[pgsclip.maskers]\nbright-sky = pgsclip_bright_sky:BrightSkyMasker\n")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=tmp_path / "bright-sky",
        env={"PYTHONPATH": str(source), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_names_and_folders_that_cannot_be_are_refused(cli: Cli, tmp_path: Path) -> None:
    for name in ("Sky", "2sky", "sky/blue", "class", "sky--blue", ""):
        with pytest.raises(PluginError, match=r"cannot be the name of a masker.*such as 'bright-sky'"):
            write_plugin(name, tmp_path / "new")
    (tmp_path / "sky").mkdir()
    said = cli("plugins", "new", "sky")
    assert said.code == 2
    assert said.err.startswith("pgsclip: sky exists and is not overwritten")
    assert write_plugin("pgsclip-sky", tmp_path / "new")[1].read_text().count("pgsclip-sky") == 1


def test_a_wheel_carries_the_template() -> None:
    """`pgsclip/template` in a wheel is the folder that the repository has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [(source, target)] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items()
    assert target == "pgsclip/template"
    assert (ROOT / source / "pyproject.toml").is_file()
    assert f"/{source}" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
