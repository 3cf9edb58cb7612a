"""Silence for libraries that report every model that they build."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_logs(*, errors: bool = False) -> Iterator[None]:
    """Keep what open_clip and others log below an error off the screen, for as long as the context lasts.

    Args:
        errors: errors too, where they are raised as well and whoever calls tells them.

    open_clip warns through the root logger, whose level belongs to the program that uses us: it is left as it is.
    """
    level = logging.root.manager.disable
    logging.disable(max(level, logging.ERROR if errors else logging.WARNING))
    try:
        yield
    finally:
        logging.disable(level)
