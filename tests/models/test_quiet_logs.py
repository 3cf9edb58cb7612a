from __future__ import annotations

import contextlib
import logging

import pytest

from pgsclip.models.quiet_logs import quiet_logs


def test_warnings_are_kept_back_and_errors_are_not(caplog: pytest.LogCaptureFixture) -> None:
    level = logging.root.level
    with contextlib.suppress(ValueError), quiet_logs():
        with quiet_logs():
            logging.warning("inner")
        logging.warning("outer")
        logging.error("an error")
        raise ValueError
    logging.warning("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["an error", "afterwards"]
    assert logging.root.level == level


def test_a_program_that_wants_less_still_gets_less(caplog: pytest.LogCaptureFixture) -> None:
    logging.disable(logging.CRITICAL)
    try:
        with quiet_logs():
            logging.error("an error")
        assert logging.root.manager.disable == logging.CRITICAL
    finally:
        logging.disable(logging.NOTSET)
    assert not caplog.records
