from __future__ import annotations

import io

import pytest
from rich.console import Console

from pgsclip.report.live_line import format_clock, format_line
from pgsclip.training.display import Display

ROW = {
    "step": 20,
    "loss": 3.4123,
    "acc1": 0.125,
    "logit_scale": 14.28,
    "samples_per_s": 1234.5,
    "mfu": 0.4321,
    "patches_kept": 0.5,
    "data_wait_share": 0.031,
    "memory_gib": 1.26,
}
LINE = (
    "step 20/180  loss 3.412  acc@1 0.12  logit scale 14.3  1234 samples/s  MFU 43%  kept 50%  data wait 3%  1.3 GiB"
    "  0:42 left"
)


def shown(*, terminal: bool, silent: bool = False, fail: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, _environ={"TERM": "xterm"})
    try:
        with Display(180, console=console, silent=silent) as display:
            display.say("begins [with] brackets")
            display.show(ROW, 42.4)
            if fail:
                raise RuntimeError
            display.show({**ROW, "step": 40}, 0.0)
    except RuntimeError:
        pass
    return file.getvalue()


def test_a_row_as_a_line() -> None:
    assert format_line(ROW, 180, 42.4) == LINE


def test_rows_of_earlier_versions_have_no_utilisation() -> None:
    earlier = {key: value for key, value in ROW.items() if key != "mfu"}
    assert format_line(earlier, 180, 42.4) == LINE.replace("  MFU 43%", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00"), (42.4, "0:42"), (59.6, "1:00"), (725.0, "12:05"), (12000.0, "3:20:00"), (1e5, "27:46:40")],
)
def test_clock(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


def test_elsewhere_than_in_a_terminal_every_row_is_a_plain_line() -> None:
    assert shown(terminal=False).splitlines() == [
        "begins [with] brackets",
        LINE,
        LINE.replace("20/", "40/").replace("0:42", "0:00"),
    ]


def test_long_lines_are_not_folded_when_they_are_written_to_a_file() -> None:
    file = io.StringIO()
    with Display(1, console=Console(file=file, width=20)) as display:
        display.say("x" * 50)
    assert file.getvalue() == "x" * 50 + "\n"


def test_in_a_terminal_one_line_lives_and_what_is_said_stays() -> None:
    out = shown(terminal=True)
    assert "preparing the first batch" in out
    assert "begins [with] brackets" in out
    assert out.rstrip().rpartition("step ")[2].startswith("40/180")
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h") == 1  # cursor hidden, and given back


def test_the_cursor_comes_back_after_a_failure() -> None:
    assert shown(terminal=True, fail=True).count("\x1b[?25h") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_processes_that_do_not_lead_are_silent(terminal: bool) -> None:
    assert shown(terminal=terminal, silent=True) == ""
