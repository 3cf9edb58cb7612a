"""Loggers of a run: built from its config, and left out when they fail, so that the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pgsclip import plugins
from pgsclip.config.fields import PluginConfig
from pgsclip.config.params import PluginParams, check_params
from pgsclip.errors import PluginError
from pgsclip.loggers.contract import Row, RunInfo, RunLogger


class Loggers:
    """All loggers of a run. One that fails is named and left out from then on."""

    def __init__(self, loggers: dict[str, RunLogger], on_message: Callable[[str], None]) -> None:
        self._loggers = dict(loggers)
        self._on_message = on_message

    def log(self, row: Row) -> None:
        """Pass a row to every logger."""
        self._each(lambda logger: logger.log(dict(row)))

    def close(self) -> None:
        """Close every logger; no more rows come."""
        self._each(lambda logger: logger.close())
        self._loggers = {}

    def _each(self, act: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                act(logger)
            except Exception as error:  # foreign code must not end a run of days
                del self._loggers[name]
                self._on_message(
                    f"The {plugins.describe(plugins.LOGGERS, name)} failed ({type(error).__name__}: {error}); the run "
                    f"goes on without it, and metrics.jsonl has every row."
                )


def check_loggers(given: Sequence[PluginConfig]) -> dict[str, Callable[[RunInfo], RunLogger]]:
    """Check every logger before the run starts, and return by name how to build it.

    Raises:
        PluginError: no such logger, no logger at all, or parameters that it refuses.
    """
    return {one.name: _prepare(one) for one in given}


def _prepare(given: PluginConfig) -> Callable[[RunInfo], RunLogger]:
    kind: Any = plugins.load(plugins.LOGGERS, given.name)
    what = plugins.describe(plugins.LOGGERS, given.name)
    model = getattr(kind, "Params", None)
    if not (isinstance(model, type) and issubclass(model, PluginParams) and hasattr(kind, "log")):
        raise PluginError(
            f"The {what} is no logger. A logger is a class with Params (from PluginParams), log and close. "
            f"`pgsclip.testing.check_logger` tells its author what is missing."
        )
    params = check_params(what, model, given.params, PluginError)

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
