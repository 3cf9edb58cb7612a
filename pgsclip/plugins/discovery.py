"""Which plugins are installed and allowed, from the metadata of their distributions: nothing is imported."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions

from pgsclip.plugins.groups import GROUPS
from pgsclip.version import __version__

SWITCH = "PGSCLIP_PLUGINS"
"""Environment variable with the distributions whose plugins are allowed beside our own."""
OWN = "pgsclip"


@dataclass(frozen=True)
class Plugin:
    """One registered name and the distribution that owns it."""

    group: str
    name: str
    target: str
    """Where the object is: `package.module:Class`."""
    distribution: str
    version: str
    needs: tuple[str, ...] = ()
    """Requirements on pgsclip, such as `pgsclip>=0.2`."""


def find(group: str) -> dict[str, list[Plugin]]:
    """Find the allowed plugins of a group: sorted names, each with its owners, of which there should be one."""
    found: dict[str, list[Plugin]] = {}
    for plugin in find_installed(group):
        if _is_allowed(plugin.distribution):
            found.setdefault(plugin.name, []).append(plugin)
    return dict(sorted(found.items()))


def find_installed(group: str) -> list[Plugin]:
    """Find all plugins of a group, allowed or not."""
    # Metadata takes milliseconds to read, and hundreds of distributions may be installed: entry points come first.
    names = {one.metadata["Name"]: None for one in distributions() if one.entry_points.select(group=group)}
    found = []
    for name in names:
        first = distribution(name)  # a copy further down sys.path is not what gets imported
        version = __version__ if name == OWN else first.version  # an editable install keeps its first metadata
        for point in first.entry_points.select(group=group):
            found.append(Plugin(group, point.name, point.value, name, version, _read_needs(first)))
    return found


def list_switched_off() -> list[str]:
    """List the installed distributions with plugins that `PGSCLIP_PLUGINS` keeps out."""
    installed = {plugin.distribution for group in GROUPS for plugin in find_installed(group)}
    return sorted(name for name in installed if not _is_allowed(name))


def list_missing() -> list[str]:
    """List the names in `PGSCLIP_PLUGINS` that no installed distribution with plugins has."""
    installed = {_canonical(plugin.distribution) for group in GROUPS for plugin in find_installed(group)}
    return sorted((_read_switch() or set()) - installed)


def _read_needs(owner: Distribution) -> tuple[str, ...]:
    """Its requirements on pgsclip itself; those with an extra or a marker are another question."""
    lines = owner.requires or []
    return tuple(line for line in lines if re.match(rf"{OWN}(?![\w.-])", line) and ";" not in line and "[" not in line)


def _read_switch() -> set[str] | None:
    """Canonical names of the allowed distributions; None for all."""
    given = os.environ.get(SWITCH)
    return None if given is None else {_canonical(word) for word in given.split(",") if word.strip()}


def _is_allowed(distribution: str) -> bool:
    allowed = _read_switch()
    return allowed is None or distribution == OWN or _canonical(distribution) in allowed


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
