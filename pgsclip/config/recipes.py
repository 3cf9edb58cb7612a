"""Recipes: YAML files that hold only what differs from their parent, shipped inside the package or the user's own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pgsclip.errors import ConfigError, did_you_mean


class Recipe(NamedTuple):
    """A recipe with its parents merged in."""

    name: str
    settings: dict[str, Any]
    origins: dict[str, str]
    """Dotted key → the file that set it, for error messages."""


def list_recipe_names() -> list[str]:
    """List the recipes that ship with the package."""
    shipped = files("pgsclip").joinpath("recipes").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in shipped if entry.name.endswith(".yaml"))


def read_recipe_text(name: str) -> str:
    """Read the YAML of a shipped recipe or of a file, as written.

    Raises:
        ConfigError: when there is no such recipe, with the nearest name.
    """
    if name in list_recipe_names():
        return files("pgsclip").joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if name and path.exists():
            raise ConfigError(f"The recipe file {name} cannot be read: {error}.") from None
        raise ConfigError(
            f"There is no recipe {name!r}.{did_you_mean(name, list_recipe_names())} "
            f"Shipped recipes: {', '.join(list_recipe_names())}; or give the path of a YAML file."
        ) from None


def read_recipe_header(name: str) -> list[str]:
    """Read the comment lines at the top: paper, hardware, hours, expected numbers, command."""
    lines = []
    for line in read_recipe_text(name).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return lines


def load_recipe(name: str, _children: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe and everything that it extends.

    A recipe that names another masker than its parent replaces the parent's whole masker section.

    Raises:
        ConfigError: no such recipe, no YAML, not a mapping, or recipes that extend each other in a circle.
    """
    if name in _children:
        raise ConfigError(f"Recipes extend each other in a circle: {' → '.join((*_children, name))}.")
    try:
        given = yaml.safe_load(read_recipe_text(name)) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"The recipe {name} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ConfigError(f"The recipe {name} must be a mapping of sections, such as 'model:' and 'optim:'.")
    parent = given.pop("extends", None)
    if parent is None:
        base = Recipe(name, {}, {})
    else:
        beside = Path(name).parent / str(parent)
        path = str(beside) if Path(name).exists() and beside.is_file() else str(parent)
        base = load_recipe(path, (*_children, name))
    settings = overlay(base.settings, given)
    written = dict.fromkeys(flatten(given), name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    return Recipe(Path(name).stem if Path(name).exists() else name, settings, {**base.origins, **written})


def overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Lay `top` over `base`, section by section; another masker's parameters never leak through.

    In place of a list, a mapping of positions changes its items: `{"phases": {"0": {"lr": 1e-5}}}`.
    """
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(below, list) and isinstance(value, dict) and _are_positions(value, below):
            merged[key] = [
                overlay(item, value[str(place)]) if str(place) in value else item for place, item in enumerate(below)
            ]
        elif (
            not isinstance(value, dict)
            or not isinstance(below, dict)
            or (key == "masker" and value.get("name", below.get("name")) != below.get("name"))
        ):
            merged[key] = value
        else:
            merged[key] = overlay(below, value)
    return merged


def _are_positions(given: dict[str, Any], below: list[Any]) -> bool:
    """Check that every key is the position of a section in the list, and that every value changes that section."""
    return all(
        key.isdigit() and int(key) < len(below) and isinstance(below[int(key)], dict) and isinstance(value, dict)
        for key, value in given.items()
    )


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn `{"optim": {"lr": 1}}` into `{"optim.lr": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
