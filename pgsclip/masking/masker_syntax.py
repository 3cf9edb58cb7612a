"""A masker as it is typed on the command line: `pgs edges=false`."""

from __future__ import annotations

from typing import Any

import yaml

from pgsclip.errors import MaskerError
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.registry import build_masker


def parse_masker(text: str) -> MaskerHandle:
    """Build a masker from a name and parameters as `key=value`, such as `pgs edges=false`.

    Values are read as YAML, so `null` is None. The handle's name is the whole text.

    Raises:
        PluginError: no such masker. MaskerError: a word without `=`, or a parameter is unknown or wrong.
    """
    name, *words = text.split() or [text]
    params: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise MaskerError(f"{word!r} in {text!r} is no parameter; write name, then key=value: 'pgs edges=false'.")
        try:
            params[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise MaskerError(f"The value of {word!r} in {text!r} cannot be read.") from None
    return MaskerHandle(" ".join([name, *words]), build_masker(name, params))
