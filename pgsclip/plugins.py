"""The one door through which strategies enter: entry points, found by metadata, imported only when chosen.

A group (`pgsclip.maskers`, `pgsclip.losses`) maps names to objects. Built-in strategies are registered in our own
`pyproject.toml` exactly as a third party registers theirs. `package.module:Attribute` names an object directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from typing import Any

from pgsclip.errors import PluginError, did_you_mean

MASKERS = "pgsclip.maskers"
TEXT_MASKERS = "pgsclip.text_maskers"
LOSSES = "pgsclip.losses"


@dataclass(frozen=True)
class Plugin:
    """One registered name and the distribution that owns it. Nothing of it is imported yet."""

    group: str
    name: str
    target: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the object. A failure names this plugin and leaves all others usable."""
        kind = _kind(self.group)
        try:
            return EntryPoint(self.name, self.target, self.group).load()
        except Exception as error:  # any failure inside foreign code is this plugin's, and must be named as such
            raise PluginError(
                f"The {kind} {self.name!r} from {self.distribution} {self.version} could not be loaded: "
                f"{type(error).__name__}: {error}. Repair or uninstall {self.distribution}; other {kind}s still work."
            ) from error


def available(group: str) -> dict[str, list[Plugin]]:
    """All names of a group with their owners, sorted; a name with two owners lists both."""
    found: dict[str, list[Plugin]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        if distribution.metadata["Name"] in seen:  # a copy further down sys.path is not what gets imported
            continue
        seen.add(distribution.metadata["Name"])
        for point in distribution.entry_points.select(group=group):
            plugin = Plugin(group, point.name, point.value, distribution.metadata["Name"], distribution.version)
            found.setdefault(point.name, []).append(plugin)
    return dict(sorted(found.items()))


def load(group: str, name: str) -> Any:
    """The object registered as `name` in `group`, or named directly as `package.module:Attribute`.

    Raises:
        PluginError: unknown name (with the nearest one), two owners, or a plugin whose import fails.
    """
    if ":" in name:
        return _load_directly(group, name)
    found = available(group)
    if name not in found:
        raise PluginError(
            f"Unknown {_kind(group)} {name!r}.{did_you_mean(name, found)} Installed: {', '.join(found) or 'none'}. "
            f"A class of your own is named as 'package.module:Class'."
        )
    owners = found[name]
    if len(owners) > 1:
        both = " and ".join(f"{owner.distribution} {owner.version}" for owner in owners)
        raise PluginError(
            f"The name {name!r} is claimed twice among the {_kind(group)}s, by {both}. "
            f"Uninstall one, or name the class directly, as '{owners[0].target}'."
        )
    return owners[0].load()


def _load_directly(group: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except Exception as error:
        raise PluginError(
            f"The {_kind(group)} {name!r} could not be imported: {type(error).__name__}: {error}. "
            f"The form is 'package.module:Class', and the package must be importable from here."
        ) from error


def _kind(group: str) -> str:
    """`pgsclip.maskers` → `masker`, `pgsclip.losses` → `loss`: the word for one thing of a group."""
    plural = group.rpartition(".")[2].replace("_", " ")
    return plural[:-2] if plural.endswith("sses") else plural[:-1]
