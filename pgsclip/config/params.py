"""Parameters of plugins: a typed model that each plugin declares, checked where it is built."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pgsclip.errors import PgsclipError, did_you_mean


class PluginParams(BaseModel):
    """Base of every plugin's parameters: frozen, no unknown keys, field docstrings are the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Old name of a parameter → the one that took its place. An old name is answered with the new one, never read."""
    renamed_values: ClassVar[Mapping[str, Mapping[Any, Any]]] = MappingProxyType({})
    """Parameter → old value → the one that took its place; answered as old names are."""


Model = TypeVar("Model", bound=PluginParams)


def check_params(what: str, model: type[Model], params: dict[str, Any], error: type[PgsclipError]) -> Model:
    """Validate the parameters of `what`, such as `masker 'pgs'`.

    Raises:
        error: one is unknown or has a wrong value; all mistakes at once.
    """
    try:
        return model(**params)
    except ValidationError as mistake:
        mistakes = [_explain(model, detail) for detail in mistake.errors(include_url=False)]
        raise error(f"The {what} refuses its parameters: {' '.join(dict.fromkeys(mistakes))}") from None


def _explain(model: type[PluginParams], detail: ErrorDetails) -> str:
    fields = list(model.model_fields)
    key = str(detail["loc"][0]) if detail["loc"] else "?"
    given = detail["input"]
    if detail["type"] == "extra_forbidden":
        if key in model.renamed:
            return f"{key!r} is called {model.renamed[key]!r} now."
        allowed = f"Allowed: {', '.join(fields)}." if fields else "It has no parameters."
        return f"{key!r} is unknown.{did_you_mean(key, fields)} {allowed}"
    values = model.renamed_values.get(key, {})
    if isinstance(given, str) and given in values:
        return f"{key}: {given!r} is called {values[given]!r} now."
    return f"{key}: {detail['msg']} (given: {given!r})."
