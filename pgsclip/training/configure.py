"""Which config a command means: a new run from a recipe, or the stored one of a run that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pgsclip.config.recipes import load_recipe
from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.errors import RunError
from pgsclip.training.run_folder import default_path

SMOKE = "smoke"


class Request(NamedTuple):
    """What the user asked for, resolved."""

    config: RunConfig
    path: Path
    resume: bool


def configure(recipe: str | None, options: dict[str, Any], settings: Sequence[str], *, resume: bool) -> Request:
    """Resolve a command to a config and a run folder.

    With neither recipe nor data it is the smoke recipe. On resume the run's own `config.yaml` takes the place of the
    recipe, and options given now lie on top of it.

    Raises:
        ConfigError: a setting is wrong. RunError: there is no run to resume.
    """
    if recipe is None and options.get("data.spec") is None:
        recipe = SMOKE
    config = resolve(recipe, options, settings)
    path = Path(config.out) if config.out else default_path(config, resume=resume)
    if resume:
        stored = path / "config.yaml"
        if not stored.is_file():
            raise RunError(
                f"There is no run to resume in {path} (no config.yaml). "
                f"Give the folder of the run with --out, or start without --resume."
            )
        name = load_recipe(str(stored)).settings.get("recipe")
        config = resolve(str(stored), options, settings).model_copy(update={"recipe": name})
    return Request(config, path, resume)
