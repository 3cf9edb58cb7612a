from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.cli.new_plugin import write_plugin
from pgsclip.errors import PluginError

Cli = Callable[..., Any]


def install(folder: Path, distribution: str, group: str, point: str) -> None:
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[pgsclip.{group}]\n{point}\n")


def test_every_kind_is_listed_with_its_distribution(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "boards", "loggers", "board = module_that_explodes:Board")
    install(tmp_path, "rival", "losses", "clip = pathlib:Path")
    monkeypatch.setenv("PGSCLIP_PLUGINS", "boards,rival,nobody")
    said = cli("plugins")
    lines = said.out.splitlines()
    assert said.code == 0
    assert [line for line in lines if not line.startswith(" ")][:4] == ["maskers", "text maskers", "losses", "loggers"]
    for words in ("  board  boards 1.2  module_that", "  pgs       pgsclip 0.1.0", "truncate   pgsclip 0.1.0"):
        assert any(line.startswith(words) or words in line for line in lines), words
    assert sum("claimed twice" in line for line in lines) == 2
    assert "named in PGSCLIP_PLUGINS but not installed: nobody" in lines
    monkeypatch.setenv("PGSCLIP_PLUGINS", "")
    closed = cli("plugins").out.splitlines()
    assert "switched off by PGSCLIP_PLUGINS: boards" in closed
    assert not any("1.2" in line for line in closed if line.startswith(" "))


def test_check_imports_all_and_says_which_do_not_work(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "boards", "loggers", "board = module_that_is_not_there:Board")
    monkeypatch.setenv("PGSCLIP_PLUGINS", "boards")
    said = cli("plugins", "--check")
    assert said.code == 2
    assert "The logger 'board' from boards 1.2 could not be loaded: ModuleNotFoundError" in said.out
    assert said.err == "pgsclip: 1 of them does not work; see above.\n"
    monkeypatch.setenv("PGSCLIP_PLUGINS", "")
    assert cli("plugins", "--check").code == 0


def test_twenty_plugins_that_import_torch_do_not_slow_help(process: Callable[..., Any], tmp_path: Path) -> None:
    """They are found by metadata; only the one that is chosen is imported."""
    site = tmp_path / "site"
    site.mkdir()
    for number in range(20):
        (site / f"heavy_{number}.py").write_text("import torch\nclass Mine: ...\n")
        install(site, f"heavy_{number}", "maskers", f"heavy-{number} = heavy_{number}:Mine")
    script = (
        "import sys\nfrom pgsclip.cli.app import main\n"
        "try:\n  main({})\nfinally:\n  print('LOADED', 'torch' in sys.modules)"
    )
    for words in (["--help"], ["train", "--help"], ["plugins"]):
        done = process("-c", script.format(words), PYTHONPATH=str(site))
        assert "LOADED False" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("heavy-") == 20


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
    install(source, "pgsclip_bright_sky", "maskers", "bright-sky = pgsclip_bright_sky:BrightSkyMasker")
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
        with pytest.raises(PluginError, match=r"cannot be the name of a masker; give small letters and digits"):
            write_plugin(name, tmp_path / "new")
    (tmp_path / "sky").mkdir()
    said = cli("plugins", "new", "sky")
    assert said.code == 2
    assert said.err.startswith("pgsclip: sky is there already and is not overwritten")
    assert write_plugin("pgsclip-sky", tmp_path / "new")[1].read_text().count("pgsclip-sky") == 1
