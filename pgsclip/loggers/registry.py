"""From the config of a run to its loggers, which may fail without taking the run with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pgsclip import plugins
from pgsclip.config.fields import PluginConfig
from pgsclip.config.params import PluginParams, checked_params
from pgsclip.errors import PluginError
from pgsclip.loggers.contract import Row, RunInfo, RunLogger


class Loggers:
    """All loggers of a run; one that fails is named, closed and left out from then on."""

    def __init__(self, loggers: dict[str, RunLogger], say: Callable[[str], None]) -> None:
        self._loggers = dict(loggers)
        self._say = say

    def log(self, row: Row) -> None:
        """Pass a row on."""
        self._each(lambda logger: logger.log(dict(row)))

    def close(self) -> None:
        """Nothing more comes."""
        self._each(lambda logger: logger.close())
        self._loggers = {}

    def _each(self, act: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                act(logger)
            except Exception as error:  # foreign code must not end a run of days
                del self._loggers[name]
                self._say(
                    f"The {plugins.describe(plugins.LOGGERS, name)} failed ({type(error).__name__}: {error}); the run "
                    f"goes on without it, and metrics.jsonl has every row."
                )


def check_loggers(given: Sequence[PluginConfig]) -> dict[str, Callable[[RunInfo], RunLogger]]:
    """How to make each logger, found out before the run starts.

    Raises:
        PluginError: no such logger, no logger at all, or parameters that it refuses.
    """
    return {one.name: _maker(one) for one in given}


def _maker(given: PluginConfig) -> Callable[[RunInfo], RunLogger]:
    kind: Any = plugins.load(plugins.LOGGERS, given.name)
    what = plugins.describe(plugins.LOGGERS, given.name)
    model = getattr(kind, "Params", None)
    if not (isinstance(model, type) and issubclass(model, PluginParams) and hasattr(kind, "log")):
        raise PluginError(
            f"The {what} is no logger: that is a class with Params (from PluginParams), log and close. "
            f"`pgsclip.testing.check_logger` tells its author what is missing."
        )
    params = checked_params(what, model, given.params, PluginError)

    def make(run: RunInfo) -> RunLogger:
        try:
            logger: RunLogger = kind(params, run)
        except Exception as error:  # it could not open what it writes to
            raise PluginError(
                f"The {what} could not start: {type(error).__name__}: {error}. Repair that, or leave it out of "
                f"log.loggers."
            ) from error
        return logger

    return make
