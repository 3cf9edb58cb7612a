"""From a name and its parameters to a text masker that is ready to score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Int
from torch import Tensor

from pgsclip import plugins
from pgsclip.config.params import check_params
from pgsclip.errors import MaskerError
from pgsclip.masking.call_signature import TEXT_CALL, takes_one_value
from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMasker


def build_text_masker(
    name: str, params: dict[str, Any] | None = None, counts: Callable[[], Int[Tensor, " V"]] | None = None
) -> TextMasker:
    """The registered text masker `name`, or `package.module:Class`.

    Args:
        counts: takes a pass over the captions; called only when the masker wants it.

    Raises:
        PluginError: no such text masker, or its code does not load.
        MaskerError: it is no text masker, its call is not that of the contract, a parameter is unknown or wrong, or it
            wants counts and there are none.
    """
    kind: Any = plugins.load(plugins.TEXT_MASKERS, name)
    model = getattr(kind, "Params", None)
    declared = isinstance(model, type) and issubclass(model, MaskerParams) and hasattr(kind, "needs_counts")
    if model is None or not declared or not isinstance(kind, type):
        raise MaskerError(
            f"{name!r}{plugins.describe_origin(plugins.TEXT_MASKERS, name)} is not a text masker: that is a class with "
            f"Params (from MaskerParams), needs_counts and __call__. `pgsclip.testing.check_text_masker` "
            f"tells its author what is missing."
        )
    what = plugins.describe(plugins.TEXT_MASKERS, name)
    if not takes_one_value(kind):
        raise MaskerError(
            f"The {what} cannot be called: {TEXT_CALL}. pgsclip.testing.check_text_masker tells its author more."
        )
    checked = check_params(what, model, params or {}, MaskerError)
    make: Any = kind  # any class that declares what it needs
    found: TextMasker = make(checked, counts() if make.needs_counts and counts is not None else None)
    return found
