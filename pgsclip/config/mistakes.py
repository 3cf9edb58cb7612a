"""A mistake in a config as a sentence: where it was written, what was given, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pgsclip.config.recipes import flatten
from pgsclip.config.renamed import find_new_name
from pgsclip.config.schema import RunConfig
from pgsclip.errors import did_you_mean


def explain_mistake(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    """Turn what pydantic found at one place into a sentence.

    Args:
        detail: one of the errors of a ValidationError of RunConfig.
        origins: dotted key → the file or option that set it.
    """
    place = tuple(str(part) for part in detail["loc"] if not _is_union_branch(part))
    where = _where(".".join(place), origins)
    if detail["type"] == "extra_forbidden":
        return _explain_unknown(place, where)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "tuple_type":
        message = "Input should be a list, such as [a, b]"
    given = "" if detail["type"] == "value_error" else f" (given: {detail['input']!r})"
    return f"{where}: {message}{given}{'' if message.endswith('?') and not given else '.'}"


def _where(key: str, origins: Mapping[str, str]) -> str:
    """Return `FILE: key`, by whatever set the key, a section around it or a part of it."""
    around = (o for o in origins if f"{key}.".startswith(f"{o}.") or o.startswith(f"{key}."))
    origin = next((origins[o] for o in (key, *around) if o in origins), None)
    return f"{origin}: {key}" if origin else key


def _explain_unknown(place: tuple[str, ...], where: str) -> str:
    renamed = find_new_name(".".join(place))
    if renamed is not None:
        return f"{where} is called {renamed} now."
    keys = _keys_beside(place)
    everywhere = [name for name in flatten(RunConfig().model_dump()) if name.rpartition(".")[2] == place[-1]]
    hint = did_you_mean(place[-1], keys) or (f" Did you mean {everywhere[0]!r}?" if everywhere else "")
    return f"{where} is unknown.{hint} Allowed here: {', '.join(keys)}."


def _is_union_branch(part: int | str) -> bool:
    """Check whether pydantic added this part: the branch of a union, such as `constrained-int` or `literal['auto']`."""
    return isinstance(part, str) and (
        part in {"int", "word", "float", "str", "pair"} or part.startswith(("constrained-", "literal["))
    )


def _keys_beside(place: tuple[str, ...]) -> list[str]:
    """List the keys of the section that holds this place."""
    model: type[BaseModel] = RunConfig
    for part in place[:-1]:
        if part.isdigit():  # a place in a list of sections
            continue
        annotation = model.model_fields[part].annotation
        annotation = next(iter(get_args(annotation)), annotation)  # tuple[Section, ...] → Section
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return list(model.model_fields)
