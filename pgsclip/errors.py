"""Every mistake a user can make, as a sentence: what happened, what was given, what is allowed, what to do.

The command line prints the sentence and leaves with `exit_code`; library users catch `PgsclipError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PgsclipError(Exception):
    """Root of all errors that pgsclip raises on purpose. The message is meant to be read by a person."""

    exit_code = 2


class ConfigError(PgsclipError):
    """A recipe, an option or a `--set` does not describe a run."""


class PluginError(PgsclipError):
    """A name in a registry is unknown, owned twice, or its code does not load."""


class MaskerError(PgsclipError):
    """A masker was asked for something it cannot do, or broke its contract."""


class ModelError(PgsclipError):
    """A model cannot be built, masked, loaded or saved."""


class DataError(PgsclipError):
    """Training or evaluation data is missing, unreadable or too damaged."""


class ImageError(PgsclipError):
    """A single image that the user named cannot be read."""


class RunError(PgsclipError):
    """A run folder is in the way, incomplete or of another kind."""


class TrainingError(PgsclipError):
    """Training cannot go on, for example because the loss is not finite."""


class InstallationError(PgsclipError):
    """A library that the machine lacks, or one that does not load."""


class UnfinishedError(PgsclipError):
    """Training was asked to stop before its end and has saved itself; a script that repeats it looks for this code."""

    exit_code = 75


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `allowed`, or an empty string when nothing is near."""
    near = get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
