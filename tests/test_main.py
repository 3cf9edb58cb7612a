from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pgsclip import __version__


def test_python_dash_m_is_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pgsclip", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pgsclip {__version__}\n", "")


def test_a_loader_process_that_imports_it_again_runs_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import runpy; runpy.run_module('pgsclip.__main__', run_name='__mp_main__')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
