"""Maskers, text maskers, losses and loggers: ours and other people's, found, loaded and named in one place.

A group of entry points (`pgsclip.maskers`, `pgsclip.losses`) maps names to objects. Our own are registered in our
`pyproject.toml` exactly as other people register theirs, and only the chosen one is imported. `package.module:Class`
names an object directly. `PGSCLIP_PLUGINS` names the distributions whose plugins are allowed beside our own, separated
by commas, or nothing for none.
"""

from pgsclip.plugins.discovery import OWN, SWITCH, Plugin, find, list_missing, list_switched_off
from pgsclip.plugins.groups import GROUPS, LOGGERS, LOSSES, MASKERS, TEXT_MASKERS, name_kind, name_kinds
from pgsclip.plugins.loading import describe, describe_origin, import_plugin, load, load_state

__all__ = [
    "GROUPS",
    "LOGGERS",
    "LOSSES",
    "MASKERS",
    "OWN",
    "SWITCH",
    "TEXT_MASKERS",
    "Plugin",
    "describe",
    "describe_origin",
    "find",
    "import_plugin",
    "list_missing",
    "list_switched_off",
    "load",
    "load_state",
    "name_kind",
    "name_kinds",
]
