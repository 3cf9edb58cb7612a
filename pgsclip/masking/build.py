"""From a name and its parameters to a masker that is ready to score."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from pgsclip import plugins
from pgsclip.errors import MaskerError, did_you_mean
from pgsclip.masking.contract import Masker, MaskerParams


def build_masker(name: str, params: dict[str, Any] | None = None) -> Masker:
    """The registered masker `name`, or `package.module:Class`.

    Raises:
        PluginError: no such masker, or its code does not load.
        MaskerError: it is no masker, or a parameter is unknown or has a wrong value; all mistakes at once.
    """
    kind = plugins.load(plugins.MASKERS, name)
    model = getattr(kind, "Params", None)
    declared = isinstance(model, type) and issubclass(model, MaskerParams) and hasattr(kind, "chooses_ratio")
    if model is None or not declared or not isinstance(kind, type):
        raise MaskerError(
            f"{name!r} is not a masker: a masker is a class with Params (from MaskerParams), chooses_ratio and "
            f"__call__. `pgsclip.masking.testing.check_masker` tells its author what is missing."
        )
    masker: Masker = kind(checked_params(f"masker {name!r}", model, params or {}))
    return masker


def checked_params(what: str, model: type[MaskerParams], params: dict[str, Any]) -> MaskerParams:
    """Parameters of `what`, validated.

    Raises:
        MaskerError: one is unknown or has a wrong value; all mistakes at once.
    """
    try:
        return model(**params)
    except ValidationError as error:
        fields = list(model.model_fields)
        mistakes = []
        for detail in error.errors(include_url=False):
            key = str(detail["loc"][0]) if detail["loc"] else "?"
            if detail["type"] == "extra_forbidden":
                allowed = f"Allowed: {', '.join(fields)}." if fields else "It has no parameters."
                mistakes.append(f"{key!r} is unknown.{did_you_mean(key, fields)} {allowed}")
            else:
                mistakes.append(f"{key}: {detail['msg']} (given: {detail['input']!r}).")
        raise MaskerError(f"The {what} refuses its parameters: {' '.join(dict.fromkeys(mistakes))}") from None
