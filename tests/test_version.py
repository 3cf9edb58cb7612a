from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pgsclip
from pgsclip.version import __version__

ROOT = Path(__file__).parents[1]


def test_the_distribution_takes_the_version_from_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "pgsclip/version.py"
    assert version("pgsclip") == pgsclip.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", __version__)


def test_no_other_file_of_the_package_spells_it_out() -> None:
    spelled = {path.name for path in (ROOT / "pgsclip").rglob("*.py") if f'"{__version__}"' in path.read_text()}
    assert spelled == {"version.py"}


def test_it_is_printed_without_importing_torch(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from pgsclip.cli.app import main; main(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pgsclip {__version__}\n", "")
