"""Parameters of plugins: a typed model that each plugin declares, checked where it is built."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pgsclip.errors import PgsclipError, did_you_mean


class PluginParams(BaseModel):
    """Base of every plugin's parameters: frozen, no unknown keys, field docstrings are the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Model = TypeVar("Model", bound=PluginParams)


def checked_params(what: str, model: type[Model], params: dict[str, Any], error: type[PgsclipError]) -> Model:
    """Parameters of `what`, such as `masker 'pgs'`, validated.

    Raises:
        error: one is unknown or has a wrong value; all mistakes at once.
    """
    try:
        return model(**params)
    except ValidationError as mistake:
        fields = list(model.model_fields)
        mistakes = []
        for detail in mistake.errors(include_url=False):
            key = str(detail["loc"][0]) if detail["loc"] else "?"
            if detail["type"] == "extra_forbidden":
                allowed = f"Allowed: {', '.join(fields)}." if fields else "It has no parameters."
                mistakes.append(f"{key!r} is unknown.{did_you_mean(key, fields)} {allowed}")
            else:
                mistakes.append(f"{key}: {detail['msg']} (given: {detail['input']!r}).")
        raise error(f"The {what} refuses its parameters: {' '.join(dict.fromkeys(mistakes))}") from None
