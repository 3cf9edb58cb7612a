"""The one line that tells how a run stands: its step, loss, speed and time left."""

from __future__ import annotations

from collections.abc import Mapping


def format_line(row: Mapping[str, float | int | str | None], total: int, seconds_left: float) -> str:
    """Write a log row as `step 20/180  loss 3.412  acc@1 0.12 …`."""
    value = {key: float(number) for key, number in row.items() if isinstance(number, int | float)}
    parts = [
        f"step {row['step']}/{total}",
        f"loss {value['loss']:.3f}",
        f"acc@1 {value['acc1']:.2f}",
        f"logit scale {value['logit_scale']:.1f}",
        f"{value['samples_per_s']:.0f} samples/s",
        *([f"MFU {value['mfu']:.0%}"] if "mfu" in value else []),  # rows of earlier versions have none
        f"kept {value['patches_kept']:.0%}",
        f"data wait {value['data_wait_share']:.0%}",
        f"{value['memory_gib']:.1f} GiB",
        f"{format_clock(seconds_left)} left",
    ]
    return "  ".join(parts)


def format_clock(seconds: float) -> str:
    """Write seconds as `0:42`, `12:05` or `3:20:00`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{last:02d}" if hours else f"{minutes}:{last:02d}"
