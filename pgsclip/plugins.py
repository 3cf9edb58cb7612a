"""The one door through which strategies enter: entry points, found by metadata, imported only when chosen.

A group (`pgsclip.maskers`, `pgsclip.losses`) maps names to objects. Built-in strategies are registered in our own
`pyproject.toml` exactly as a third party registers theirs. `package.module:Attribute` names an object directly.
`PGSCLIP_PLUGINS` says which distributions beside our own may enter: names separated by commas, or nothing for none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distribution, distributions
from typing import Any

from pgsclip.errors import PgsclipError, PluginError, did_you_mean
from pgsclip.version import __version__

MASKERS = "pgsclip.maskers"
TEXT_MASKERS = "pgsclip.text_maskers"
LOSSES = "pgsclip.losses"
LOGGERS = "pgsclip.loggers"
GROUPS = (MASKERS, TEXT_MASKERS, LOSSES, LOGGERS)
SWITCH = "PGSCLIP_PLUGINS"
OWN = "pgsclip"


@dataclass(frozen=True)
class Plugin:
    """One registered name and the distribution that owns it. Nothing of it is imported yet."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    needs: tuple[str, ...] = ()
    """Its requirements on pgsclip, such as `pgsclip>=0.2`."""

    def load(self) -> Any:
        """Import the object. A failure names this plugin and leaves all others usable.

        Raises:
            PluginError: it is made for another version of pgsclip, or its import fails.
        """
        what = f"The {kind_of(self.group)} {self.name!r} from {self.distribution} {self.version}"
        for need in self.needs:
            self._refuse_other_version(what, need)
        try:
            return EntryPoint(self.name, self.target, self.group).load()
        except Exception as error:  # any failure inside foreign code is this plugin's, and must be named as such
            raise PluginError(
                f"{what} could not be loaded: {type(error).__name__}: {error}. Repair or uninstall "
                f"{self.distribution}; other {kinds_of(self.group)} still work."
            ) from error

    def _refuse_other_version(self, what: str, need: str) -> None:
        from packaging.requirements import Requirement  # looked at for the chosen plugin only

        if not Requirement(need).specifier.contains(__version__, prereleases=True):
            raise PluginError(
                f"{what} is made for {need} and this is pgsclip {__version__}. "
                f"Install a version of {self.distribution} that fits, or another pgsclip."
            )


def available(group: str) -> dict[str, list[Plugin]]:
    """All names of a group with their owners, sorted; a name with two owners lists both."""
    found: dict[str, list[Plugin]] = {}
    for plugin in _everything(group):
        if _enters(plugin.distribution):
            found.setdefault(plugin.name, []).append(plugin)
    return dict(sorted(found.items()))


def switched_off() -> list[str]:
    """Installed distributions with plugins that `PGSCLIP_PLUGINS` keeps out."""
    return sorted({p.distribution for group in GROUPS for p in _everything(group) if not _enters(p.distribution)})


def not_installed() -> list[str]:
    """Names in `PGSCLIP_PLUGINS` that no installed plugin has."""
    there = {_canonical(p.distribution) for group in GROUPS for p in _everything(group)}
    return sorted((_allowed() or set()) - there)


def load(group: str, name: str) -> Any:
    """The object registered as `name` in `group`, or named directly as `package.module:Attribute`.

    Raises:
        PluginError: unknown name (with the nearest one), two owners, another version, or an import that fails.
    """
    if ":" in name:
        return _load_directly(group, name)
    found = available(group)
    if name not in found:
        raise PluginError(_unknown(group, name, list(found)))
    owners = found[name]
    if len(owners) > 1:
        both = " and ".join(f"{owner.distribution} {owner.version}" for owner in owners)
        raise PluginError(
            f"The name {name!r} is claimed twice among the {kinds_of(group)}, by {both}. Uninstall one, leave it out "
            f"of {SWITCH}, or name the class directly, as '{owners[0].target}'."
        )
    return owners[0].load()


def give_back(group: str, name: str, plugin: Any, state: Mapping[str, Any], error: type[PgsclipError]) -> None:
    """Load the state of a checkpoint into the plugin that wrote it.

    Raises:
        error: it does not fit.
    """
    try:
        plugin.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError, TypeError) as mistake:
        reason = " ".join(str(mistake).split())
        raise error(
            f"The state of the {described(group, name)} in the checkpoint does not fit: {reason}. It was written by "
            f"another version, with other parameters, or for another model; go on with those, or start again in "
            f"another --out."
        ) from None


def described(group: str, name: str) -> str:
    """`masker 'contrast' from pgsclip-template 0.1.0`: how a sentence names a plugin. Our own need no origin."""
    return f"{kind_of(group)} {name!r}{origin(group, name)}"


def origin(group: str, name: str) -> str:
    """` from pgsclip-template 0.1.0`, or nothing for our own and for classes that are named directly."""
    owners = [] if ":" in name else available(group).get(name, [])
    theirs = owners[0] if owners and owners[0].distribution != OWN else None
    return f" from {theirs.distribution} {theirs.version}" if theirs else ""


def kind_of(group: str) -> str:
    """`pgsclip.maskers` → `masker`, `pgsclip.losses` → `loss`: the word for one thing of a group."""
    plural = kinds_of(group)
    return plural[:-2] if plural.endswith("sses") else plural[:-1]


def kinds_of(group: str) -> str:
    """`pgsclip.text_maskers` → `text maskers`."""
    return group.rpartition(".")[2].replace("_", " ")


def _everything(group: str) -> list[Plugin]:
    # Metadata takes milliseconds to read, and hundreds of distributions may be installed: look for plugins first.
    names = {one.metadata["Name"]: None for one in distributions() if one.entry_points.select(group=group)}
    found = []
    for name in names:
        first = distribution(name)  # a copy further down sys.path is not what gets imported
        release = __version__ if name == OWN else first.version
        for point in first.entry_points.select(group=group):
            found.append(Plugin(group, point.name, point.value, name, release, _needs(first)))
    return found


def _needs(owner: Distribution) -> tuple[str, ...]:
    lines = owner.requires or []
    return tuple(line for line in lines if re.match(rf"{OWN}(?![\w.-])", line) and ";" not in line and "[" not in line)


def _allowed() -> set[str] | None:
    """Canonical names of the distributions that may enter; None for all."""
    given = os.environ.get(SWITCH)
    return None if given is None else {_canonical(word) for word in given.split(",") if word.strip()}


def _enters(distribution: str) -> bool:
    allowed = _allowed()
    return allowed is None or distribution == OWN or _canonical(distribution) in allowed


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _unknown(group: str, name: str, found: list[str]) -> str:
    kept_out = next((p for p in _everything(group) if p.name == name), None)
    if kept_out is not None:
        return (
            f"The {kind_of(group)} {name!r} from {kept_out.distribution} {kept_out.version} is switched off by "
            f"{SWITCH}={os.environ.get(SWITCH, '')!r}. Add {kept_out.distribution} there, or unset it."
        )
    return (
        f"Unknown {kind_of(group)} {name!r}.{did_you_mean(name, found)} Installed: {', '.join(found) or 'none'}. "
        f"A class of your own is named as 'package.module:Class'."
    )


def _load_directly(group: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except Exception as error:
        raise PluginError(
            f"The {kind_of(group)} {name!r} could not be imported: {type(error).__name__}: {error}. "
            f"The form is 'package.module:Class', and the package must be importable from here."
        ) from error
