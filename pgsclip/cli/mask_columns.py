"""The maskers and ratios that `--masker` and `--ratio` ask for, as the columns of a sheet."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.viz.explain import MaskerColumn

_DEFAULT = (("random", "0.5"), ("cluster", "0.5"), ("pgs", "0.5"), ("pgs", "0.3:0.5"), ("salient", "0.5"))


def pair_maskers(maskers: list[str] | None, ratios: list[str] | None) -> list[MaskerColumn]:
    """Pair maskers with ratios, one ratio for all or one for each; a choice of both if neither is given.

    Raises:
        ConfigError: they do not pair up, or a ratio is none.
    """
    from pgsclip.config.ratio import Ratio
    from pgsclip.errors import ConfigError
    from pgsclip.masking.masker_syntax import parse_masker
    from pgsclip.viz.explain import MaskerColumn

    pairs: list[tuple[str, str]] = list(_DEFAULT)
    if maskers or ratios:
        names, shares = maskers or ["random", "cluster", "pgs", "salient"], ratios or ["0.5"]
        if len(shares) not in (1, len(names)):
            raise ConfigError(
                f"{len(shares)} ratios do not pair up with {len(names)} maskers: "
                f"give one --ratio for all, or one after each --masker."
            )
        pairs = list(zip_longest(names, shares, fillvalue=shares[0]))
    try:
        asked = [(parse_masker(name), Ratio.parse(share)) for name, share in pairs]
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
    return [MaskerColumn(handle, handle.check_ratio(ratio)) for handle, ratio in asked]
