from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.version import __version__

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
    for words in (
        "  board  boards 1.2  module_that",
        f"  pgs       pgsclip {__version__}",
        f"truncate   pgsclip {__version__}",
    ):
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
    assert said.err.startswith("pgsclip: 1 plugin does not work")
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
