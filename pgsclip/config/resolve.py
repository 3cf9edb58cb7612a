"""From recipe, named options and `--set` to one checked `RunConfig`; every mistake is reported, all at once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from pgsclip.config.mistakes import explain_mistake
from pgsclip.config.recipes import Recipe, load_recipe, overlay
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError

Setting = str | tuple[str, Any]
"""`section.key=value` as typed, with a value in YAML; or, in Python, the dotted key and the value itself."""


def resolve(
    recipe: str | Mapping[str, Any] | None, options: Mapping[str, Any], settings: Sequence[Setting] = ()
) -> RunConfig:
    """Schema defaults < recipe and its parents < named options < `--set section.key=value`.

    Args:
        recipe: name or file, the sections of one, or None for schema defaults.
        options: dotted key → value; None values count as not given.
        settings: laid on top, one after the other; here None is null.

    Raises:
        ConfigError: one message that names every mistake, where it was written, and the nearest valid key.
    """
    found = load_recipe(recipe) if isinstance(recipe, str) else Recipe("", _plain(recipe or {}), {})
    tree = dict(found.settings)
    origins = dict(found.origins)
    if found.name:
        tree["recipe"] = found.name
    for key, value in options.items():
        if value is not None:
            tree = overlay(tree, _nested(key, value))
            _note(origins, key, _option(key))
    for setting in settings:
        key, value = _split_setting(setting) if isinstance(setting, str) else setting
        tree = overlay(tree, _nested(key, _plain(value)))
        _note(origins, key, "--set" if isinstance(setting, str) else "settings")
    return check(tree, origins)


def check(tree: dict[str, Any], origins: dict[str, str] | None = None) -> RunConfig:
    """Validate a nested mapping.

    Raises:
        ConfigError: with one line per mistake.
    """
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        mistakes = [explain_mistake(detail, origins or {}) for detail in error.errors(include_url=False)]
    count = "One setting is" if len(mistakes) == 1 else f"{len(mistakes)} settings are"
    raise ConfigError("\n".join([f"{count} not valid:", *(f"  {mistake}" for mistake in mistakes)]))


def to_yaml(config: RunConfig) -> str:
    """Write a resolved config with every key. It loads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _split_setting(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set {setting!r} is not of the form section.key=value, such as optim.lr=5e-4.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(value, str) and value[-1:].isdigit():  # YAML 1.1 reads 5e-4 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    return key, value


def _plain(value: Any) -> Any:
    """Turn a value into what YAML holds: paths become text, numbers of other libraries Python's own, tuples lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _option(key: str) -> str:
    """`masker.name` is given as `--masker`, `data.batch_size` as `--batch-size`."""
    section, _, last = key.rpartition(".")
    return f"--{section if last in {'name', 'spec'} else last.replace('_', '-')}"


def _note(origins: dict[str, str], key: str, origin: str) -> None:
    """Remember who set a key last; whoever set what it replaces is forgotten."""
    for other in [o for o in origins if key.startswith(f"{o}.") or o.startswith(f"{key}.")]:
        del origins[other]
    origins[key] = origin


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
