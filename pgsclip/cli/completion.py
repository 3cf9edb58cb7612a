"""Names that the shell completes behind an option. Nothing heavy is imported for them."""

from __future__ import annotations

from pathlib import Path


def masker_names(incomplete: str) -> list[str]:
    """List installed maskers that begin so."""
    from pgsclip import plugins

    return [name for name in plugins.find(plugins.MASKERS) if name.startswith(incomplete)]


def recipe_files(incomplete: str) -> list[str]:
    """List shipped recipes, and YAML files in the folder that was typed."""
    from pgsclip.config.recipes import list_recipe_names

    start = Path(incomplete)
    folder = start if incomplete.endswith("/") else start.parent
    found = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return [name for name in (*list_recipe_names(), *map(str, found)) if name.startswith(incomplete)]
