"""The Python files of a package, from the working tree or from a revision."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

Sources = dict[str, str]
"""Path below the root of the repository → text."""


def read_tree(root: Path, package: str) -> Sources:
    """Read every Python file of a package as it lies on the disk."""
    paths = sorted((root / package).rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def read_revision(root: Path, package: str, revision: str) -> Sources:
    """Read every Python file of a package as it was at a revision; the working tree is not touched.

    Raises:
        SystemExit: git knows no such revision, or there was no such package.
    """
    command = ["git", "-C", str(root), "archive", "--format=tar", revision, "--", package]
    archived = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - git, asked by a developer
    if archived.returncode:
        raise SystemExit(f"git cannot give {package} of {revision!r}: {archived.stderr.decode().strip()}")
    sources = {}
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                sources[member.name] = content.read().decode("utf-8")
    return dict(sorted(sources.items()))
