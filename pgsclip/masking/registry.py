"""From a name and its parameters to a masker that is ready to score."""

from __future__ import annotations

from typing import Any

from pgsclip import plugins
from pgsclip.config.params import check_params
from pgsclip.errors import MaskerError
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
            f"{name!r}{plugins.describe_origin(plugins.MASKERS, name)} is not a masker: a masker is a class with "
            f"Params (from MaskerParams), chooses_ratio and __call__. `pgsclip.testing.check_masker` tells its author "
            f"what is missing."
        )
    what = plugins.describe(plugins.MASKERS, name)
    masker: Masker = kind(check_params(what, model, params or {}, MaskerError))
    return masker
