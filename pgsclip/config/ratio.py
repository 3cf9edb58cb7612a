"""The share of patches to remove: one number, or a range from which the masker chooses per image."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

ALLOWED = "a share in [0, 1) such as 0.5, or a range LO:HI such as 0.3:0.5"


class Ratio(NamedTuple):
    """Share of patches removed. `low == high` is a fixed ratio, else each image gets its own in [low, high]."""

    low: float
    high: float

    @property
    def is_range(self) -> bool:
        return self.low < self.high

    @classmethod
    def parse(cls, given: Any) -> Ratio:
        """Read 0.5, "0.5", "0.3:0.5", (0.3, 0.5) or a Ratio.

        Raises:
            ValueError: with a sentence that says what was given and what is allowed.
        """
        parts = given.split(":") if isinstance(given, str) else given
        try:
            numbers = [float(part) for part in parts] if isinstance(parts, list | tuple) else [float(parts)]
        except (TypeError, ValueError):
            raise ValueError(f"{given!r} is not a ratio; give {ALLOWED}") from None
        if len(numbers) not in (1, 2):
            raise ValueError(f"{given!r} is not a ratio; give {ALLOWED}")
        low, high = numbers[0], numbers[-1]
        if not (0 <= low < 1 and 0 <= high < 1):
            raise ValueError(f"{given!r} is outside [0, 1): the ratio is the share removed; give {ALLOWED}")
        if low > high:
            raise ValueError(f"{given!r} runs backwards; did you mean {high:g}:{low:g}?")
        return cls(low, high)

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}" if self.is_range else f"{self.low:g}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda ratio: str(ratio) if ratio.is_range else ratio.low
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        share = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
        text = {"type": "string", "pattern": r"^[0-9.]+(:[0-9.]+)?$"}
        return {"anyOf": [share, text, {"type": "array", "items": share, "minItems": 1, "maxItems": 2}]}
