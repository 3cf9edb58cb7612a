"""Which config a command means: a new run from a recipe, or the stored one of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pgsclip.config.recipes import flatten, load_recipe
from pgsclip.config.resolve import Setting, resolve
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError, RunError
from pgsclip.models.start import complete_model
from pgsclip.training.saved.run_folder import default_path

SMOKE = "smoke"
_APART = {"out", "recipe", "checkpoint", "log", "evaluate"}


class Request(NamedTuple):
    """What the user asked for, resolved."""

    config: RunConfig
    path: Path
    resume: bool
    """Whether there is a run to go on with."""
    may_start: bool = True
    """Whether to start from the beginning where that run has no checkpoint yet."""
    findings: tuple[str, ...] = ()
    """Sentences about what was found for settings that the command left open."""
    changed: tuple[str, ...] = ()
    """Settings that are not as the run had them so far: `loss.name (clip, now siglip)`."""


class Resume(StrEnum):
    """What to do about a run that is there already."""

    NEVER = "never"
    ALWAYS = "always"
    AUTO = "auto"
    """Go on with it, or start if there is none."""


def parse_resume(given: str | None) -> Resume:
    """What follows `--resume`: nothing, or `auto`.

    Raises:
        ConfigError: something else.
    """
    if given is None:
        return Resume.NEVER
    if given not in (Resume.ALWAYS, Resume.AUTO):
        raise ConfigError(f"--resume {given!r} is unknown; give --resume alone, or --resume auto.")
    return Resume(given)


def configure(
    recipe: str | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    settings: Sequence[Setting],
    *,
    resume: Resume = Resume.NEVER,
) -> Request:
    """Resolve a command to a config and a run folder.

    With neither recipe nor data it is the smoke recipe. `optim.steps` among the options is the whole length of a run
    that starts: a recipe's later phases are left out, unless the settings name some. On resume the run's own
    `config.yaml` takes the place of the recipe, and options given now lie on top of it; what was measured when the run
    began is not measured again.

    Raises:
        ConfigError: a setting is wrong. RunError: there is no run to resume.
    """
    if recipe is None and options.get("data.spec") is None:
        recipe = SMOKE
    if options.get("optim.steps") is not None and resume is not Resume.ALWAYS:
        settings = ["phases=[]", *settings]
    config, findings = _with_model(resolve(recipe, options, settings))
    path = Path(config.out) if config.out else default_path(config, resume=resume is not Resume.NEVER)
    stored = path / "config.yaml"
    if resume is Resume.NEVER or (resume is Resume.AUTO and not stored.is_file()):
        return Request(config, path, resume=False, findings=findings)
    if not stored.is_file():
        raise RunError(
            f"There is no run to resume in {path} (no config.yaml). "
            f"Give the folder of the run with --out, or start without --resume."
        )
    name = load_recipe(str(stored)).settings.get("recipe")
    before, _ = _with_model(resolve(str(stored), {}))
    config, _ = _with_model(resolve(str(stored), options, settings))
    config = _still_settled(config, before).model_copy(update={"recipe": name})
    changed = _differences(_still_settled(before, before), config)
    return Request(config, path, resume=True, may_start=resume is Resume.AUTO, changed=changed)


def _with_model(config: RunConfig) -> tuple[RunConfig, tuple[str, ...]]:
    """The config with what the weights to start from bring, and what there is to say about it."""
    model, findings = complete_model(config.model)
    return config.model_copy(update={"model": model}), findings


def _still_settled(config: RunConfig, before: RunConfig) -> RunConfig:
    """What is `auto` now stays what the run had; loader workers were `auto` themselves when that meant null's rule."""
    data, old = config.data, before.data
    batch_size = old.batch_size if data.batch_size == "auto" else data.batch_size
    workers = data.workers if data.workers != "auto" else old.workers if old.workers != "auto" else None
    kept = data.model_copy(update={"batch_size": batch_size, "workers": workers})
    return config.model_copy(update={"data": kept})


def _differences(before: RunConfig, now: RunConfig) -> tuple[str, ...]:
    """Of settings that a training depends on; how often it is logged or where it lies does not matter to it."""
    old, new = (flatten(config.model_dump(mode="json", exclude=_APART)) for config in (before, now))
    return tuple(
        f"{key} ({old.get(key)}, now {new.get(key)})" for key in {**old, **new} if old.get(key) != new.get(key)
    )
