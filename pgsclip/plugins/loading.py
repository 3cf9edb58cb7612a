"""A plugin by its name, its state from a checkpoint, and how sentences name it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from pgsclip.errors import PgsclipError, PluginError, did_you_mean
from pgsclip.plugins.discovery import OWN, SWITCH, Plugin, find, find_installed
from pgsclip.plugins.groups import name_kind, name_kinds
from pgsclip.version import __version__


def load(group: str, name: str) -> Any:
    """Import the object registered as `name` in `group`, or named directly as `package.module:Class`.

    Raises:
        PluginError: the name is unknown (the nearest one is suggested) or has two owners, or the plugin is made for
            another version of pgsclip, or its import fails.
    """
    if ":" in name:
        return _import_directly(group, name)
    found = find(group)
    if name not in found:
        raise PluginError(_say_unknown(group, name, list(found)))
    owners = found[name]
    if len(owners) > 1:
        both = " and ".join(f"{owner.distribution} {owner.version}" for owner in owners)
        raise PluginError(
            f"The name {name!r} is claimed twice among the {name_kinds(group)}, by {both}. Uninstall one, leave it out "
            f"of {SWITCH}, or name the class directly, as '{owners[0].target}'."
        )
    return import_plugin(owners[0])


def import_plugin(plugin: Plugin) -> Any:
    """Import the object that a plugin registers. A failure names the plugin and leaves all others usable.

    Raises:
        PluginError: it is made for another version of pgsclip, or its import fails.
    """
    what = f"The {name_kind(plugin.group)} {plugin.name!r} from {plugin.distribution} {plugin.version}"
    for need in plugin.needs:
        if not _fits(need):
            raise PluginError(
                f"{what} is made for {need} and this is pgsclip {__version__}. Install a version of "
                f"{plugin.distribution} that fits, or another pgsclip."
            )
    try:
        return EntryPoint(plugin.name, plugin.target, plugin.group).load()
    except Exception as error:  # any failure inside foreign code is this plugin's, and must be named as such
        raise PluginError(
            f"{what} could not be loaded: {type(error).__name__}: {error}. Repair or uninstall "
            f"{plugin.distribution}; other {name_kinds(plugin.group)} still work."
        ) from error


def load_state(group: str, name: str, plugin: Any, state: Mapping[str, Any], error: type[PgsclipError]) -> None:
    """Load a state from a checkpoint into the plugin that wrote it.

    Args:
        plugin: the object, with `load_state_dict`.
        error: raised when the state does not fit.

    Raises:
        PgsclipError: of the type `error`, when the state does not fit.
    """
    try:
        plugin.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError, TypeError) as mistake:
        reason = " ".join(str(mistake).split())
        raise error(
            f"The state of the {describe(group, name)} in the checkpoint does not fit: {reason}. It was written by "
            f"another version, with other parameters, or for another model; go on with those, or start again in "
            f"another --out."
        ) from None


def describe(group: str, name: str) -> str:
    """Name a plugin in a sentence: `masker 'contrast' from pgsclip-template 0.1.0`. Our own need no origin."""
    return f"{name_kind(group)} {name!r}{describe_origin(group, name)}"


def describe_origin(group: str, name: str) -> str:
    """Return ` from pgsclip-template 0.1.0`, or nothing for our own and for classes that are named directly."""
    owners = [] if ":" in name else find(group).get(name, [])
    theirs = owners[0] if owners and owners[0].distribution != OWN else None
    return f" from {theirs.distribution} {theirs.version}" if theirs else ""


def _fits(need: str) -> bool:
    from packaging.requirements import Requirement  # imported for the chosen plugin only

    return Requirement(need).specifier.contains(__version__, prereleases=True)


def _say_unknown(group: str, name: str, found: list[str]) -> str:
    kept_out = next((plugin for plugin in find_installed(group) if plugin.name == name), None)
    if kept_out is not None:
        return (
            f"The {name_kind(group)} {name!r} from {kept_out.distribution} {kept_out.version} is switched off by "
            f"{SWITCH}={os.environ.get(SWITCH, '')!r}. Add {kept_out.distribution} there, or unset it."
        )
    return (
        f"Unknown {name_kind(group)} {name!r}.{did_you_mean(name, found)} Installed: {', '.join(found) or 'none'}. "
        f"A class of your own is named as 'package.module:Class'."
    )


def _import_directly(group: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except Exception as error:
        raise PluginError(
            f"The {name_kind(group)} {name!r} could not be imported: {type(error).__name__}: {error}. "
            f"The form is 'package.module:Class', and the package must be importable from here."
        ) from error
