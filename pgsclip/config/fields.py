"""Kinds of values in a config, each with its sentence for a mistake, and the base of its sections."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from PIL import ImageColor
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotEmpty = Annotated[str, Field(min_length=1)]


def _in_order(given: tuple[float, float]) -> tuple[float, float]:
    if not 0 < given[0] <= given[1]:
        raise ValueError(f"{list(given)} is not a range of shares; give the smaller one first, above 0")
    return given


Shares = Annotated[tuple[Share, Share], AfterValidator(_in_order)]
"""Smallest and largest share, both above 0."""


def _colour(given: str) -> str:
    try:
        ImageColor.getrgb(given)
    except ValueError:
        raise ValueError(f"{given!r} is not a colour; give a name such as white, or #rrggbb") from None
    return given


Colour = Annotated[str, AfterValidator(_colour)]
"""Name of a colour in CSS, or `#rrggbb`."""


def _only_auto(given: Any) -> Any:
    if given != "auto":
        raise ValueError(f"{given!r} is neither a whole number nor 'auto'")
    return given


def _word_or_int(given: Any) -> str:
    return "word" if isinstance(given, str) and not given.lstrip("+-").isdigit() else "int"


_Auto = Annotated[Literal["auto"], BeforeValidator(_only_auto), Tag("word")]
PositiveOrAuto = Annotated[_Auto | Annotated[Positive, Tag("int")], Discriminator(_word_or_int)]
CountOrAuto = Annotated[_Auto | Annotated[Count, Tag("int")], Discriminator(_word_or_int)]
"""A number, or `auto`: the number is then measured before the run begins (`pgsclip.training.planning.autotune`)."""


def _side_or_sides(given: Any) -> str:
    return "pair" if isinstance(given, list | tuple) else "int"


ImageSize = Annotated[
    Annotated[Positive, Tag("int")] | Annotated[tuple[Positive, Positive], Tag("pair")], Discriminator(_side_or_sides)
]
"""Side of a square in pixels, or height and width."""
Channels = tuple[float, float, float]
"""Numbers of red, green and blue."""


def _above_zero(given: Channels) -> Channels:
    if min(given) <= 0:
        raise ValueError(f"{list(given)} holds a deviation that is not above 0")
    return given


Deviations = Annotated[Channels, AfterValidator(_above_zero)]


def _parts_of_towers(given: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [part for part in given if not re.fullmatch(r"(image|text)(:\d+)?", part)]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} is not a part of a tower; give image, text, or the first blocks of one, such as image:6"
        )
    towers = [part.partition(":")[0] for part in given]
    if len({*towers}) < len(towers):
        raise ValueError(f"{list(given)} names a tower twice; give each once")
    return given


TowerParts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    AfterValidator(_parts_of_towers),
]
"""Towers, or the first blocks of one: `image`, `text:4`."""


class Section(BaseModel):
    """Part of a config: frozen, without unknown keys. The docstring under a field is its help text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PluginConfig(Section):
    """One of several plugins of a kind. Its bare name is enough where it needs no parameters."""

    name: NotEmpty
    """Registered name, or `package.module:Class`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the plugin, checked when it is built."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


def _each_once(given: tuple[PluginConfig, ...]) -> tuple[PluginConfig, ...]:
    names = [plugin.name for plugin in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice; name each plugin once")
    return given


Plugins = Annotated[tuple[PluginConfig, ...], AfterValidator(_each_once)]
"""Several plugins of a kind, no two of one name."""
