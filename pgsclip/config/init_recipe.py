"""A recipe from the four answers that every run needs."""

from __future__ import annotations

from typing import Any

import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError

_WARMUP_SHARE = 0.05
_LONGEST_WARMUP = 10_000
"""Steps, as in the CC12M recipes (arXiv 2503.17080, section 4.1)."""


def compose_recipe(
    *, data: str, model: str, masker: str, ratio: str, batch_size: int, steps: int, file: str
) -> tuple[str, RunConfig]:
    """Compose the text of a recipe and check it; every other setting stays at its default.

    Raises:
        ConfigError: an answer is not valid.
    """
    settings: dict[str, Any] = {
        "data": {"spec": data, "batch_size": batch_size},
        "model": {"name": model},
        "masker": {"name": masker, "ratio": _number(ratio)},
        "optim": {"steps": steps, "warmup_steps": min(_LONGEST_WARMUP, round(_WARMUP_SHARE * steps))},
    }
    config = check(settings)
    share = f"masker {masker} hides {ratio}"
    if config.masker.hides_nothing:
        del settings["masker"]["ratio"]
        share = "every patch is shown"
    header = f"# {model} on {data}; {share}.\n# Command: pgsclip train --recipe {file}\n"
    return header + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), config


def parse_length(given: str) -> tuple[int, int]:
    """Read batch size and steps from one line, such as `256 10000`.

    Raises:
        ConfigError: it is not two whole numbers.
    """
    words = given.replace(",", " ").split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise ConfigError(f"{given!r} is not a batch size and a number of steps; give two numbers, such as 256 10000.")
    return int(words[0]), int(words[1])


def _number(ratio: str) -> float | str:
    try:
        return float(ratio)
    except ValueError:
        return ratio
