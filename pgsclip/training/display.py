"""What a person sees while a run goes on: one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Display:
    """Shows rows of metrics; silent on ranks that do not lead."""

    def __init__(self, total: int, *, console: Console, silent: bool = False) -> None:
        self._total = total
        self._console = console
        self._silent = silent
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if self._console.is_terminal and not self._silent:
            self._live = Live(Text("preparing the first batch …"), console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        if not self._silent:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, row: Mapping[str, float | int | str | None], seconds_left: float) -> None:
        """The state of the run: replaces the live line, or is one more plain line."""
        if self._silent:
            return
        line = render(row, self._total, seconds_left)
        if self._live is not None:
            self._live.update(Text(line))
        else:
            self.say(line)


def render(row: Mapping[str, float | int | str | None], total: int, seconds_left: float) -> str:
    """`step 20/180  loss 3.412  acc@1 0.12 …`"""
    value = {key: float(number) for key, number in row.items() if isinstance(number, int | float)}
    parts = [
        f"step {row['step']}/{total}",
        f"loss {value['loss']:.3f}",
        f"acc@1 {value['acc1']:.2f}",
        f"temperature {value['temperature']:.1f}",
        f"{value['samples_per_s']:.0f} samples/s",
        *([f"MFU {value['mfu']:.0%}"] if "mfu" in value else []),  # rows of earlier versions have none
        f"kept {value['kept']:.0%}",
        f"data wait {value['data_wait']:.0%}",
        f"{value['memory_gib']:.1f} GiB",
        f"{clock(seconds_left)} left",
    ]
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """`0:42`, `12:05`, `3:20:00`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{last:02d}" if hours else f"{minutes}:{last:02d}"
