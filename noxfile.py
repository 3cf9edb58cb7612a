"""All checks. `nox` runs them; `nox -s tests -- -k masking` runs a part of the tests.

Torch is 5 GB, so there is one environment: the session `install` fills `.nox/shared`, and the others run inside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["install", "lint", "types", "imports", "plugins", "docs", "tests"]

ROOT = Path(__file__).parent
SHARED = ROOT / ".nox" / "shared"
BIN = SHARED / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = str(BIN / "python")
TWO_PROCESSES = ["-n", "2", "--dist", "loadgroup"]


def _needs_install(session: nox.Session) -> None:
    if not (BIN / "pytest").exists():
        install(session)


@nox.session
def install(session: nox.Session) -> None:
    """One environment for everything: the package, its plugins and the tools, editable."""
    if not Path(PYTHON).exists():
        session.run(sys.executable, "-m", "venv", str(SHARED), external=True)
    plugins = [argument for folder in _plugins() for argument in ("-e", str(folder))]
    session.run(PYTHON, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[dev]", *plugins, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    _needs_install(session)
    session.run(PYTHON, "-m", "ruff", "check", ".", external=True)
    session.run(PYTHON, "-m", "ruff", "format", "--check", ".", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Strict types in the package."""
    _needs_install(session)
    session.run(PYTHON, "-m", "mypy", external=True)


@nox.session
def imports(session: nox.Session) -> None:
    """Each layer imports only from below."""
    _needs_install(session)
    session.run(str(BIN / "lint-imports"), external=True)


@nox.session
def house(session: nox.Session) -> None:
    """Rooms, long functions, repeated lines, names that occur twice; `nox -s house -- --vs REV` compares."""
    session.run(sys.executable, "docs/house", *session.posargs, external=True)


@nox.session
def plugins(session: nox.Session) -> None:
    """Each plugin passes its own tests."""
    _needs_install(session)
    for folder in _plugins():
        with session.chdir(folder):
            session.run(PYTHON, "-m", "pytest", "-q", "-c", "pyproject.toml", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The site is built without a warning and loads nothing from other hosts; links lead somewhere."""
    _needs_install(session)
    session.run(PYTHON, "docs/site/stage.py", external=True)
    session.run(str(BIN / "zensical"), "build", "--strict", "--clean", external=True)
    session.run(PYTHON, "docs/site/offline.py", "build/site", external=True)
    session.run(PYTHON, "-m", "pytest", "tests/test_docs.py", "-k", "links or names", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Everything under tests/, on two processes."""
    _needs_install(session)
    session.run(PYTHON, "-m", "pytest", *(session.posargs or TWO_PROCESSES), external=True)


@nox.session
def coverage(session: nox.Session) -> None:
    """All tests, with the lines and branches that they reach; red below `fail_under` of pyproject.toml.

    Tracing makes them half as long again, so `nox` alone leaves this out. A part of the tests has no floor.
    """
    _needs_install(session)
    part = [*session.posargs, "--cov-fail-under=0"] if session.posargs else TWO_PROCESSES
    here = {"COVERAGE_FILE": str(ROOT / ".coverage")}  # also for commands that tests start in other folders
    session.run(PYTHON, "-m", "pytest", *part, "--cov", "--cov-report=term-missing", env=here, external=True)


def _plugins() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
