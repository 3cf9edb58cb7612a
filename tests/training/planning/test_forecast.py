from __future__ import annotations

from dataclasses import replace

import pytest

from pgsclip.config.phases import Phase
from pgsclip.config.schema import RunConfig
from pgsclip.training.planning.forecast import Forecast, forecast_lines
from pgsclip.training.planning.trial_steps import Probed

FOUND = Probed(
    steps=3, warm=2, pairs=100, seconds=0.5, waited=0.0, late=2.0, reader_seconds=0.4, workers=2, kept=0.5,
    gflops=1.25, memory_gib=2.5, taken=3, resting=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def test_steps_that_are_slower_than_the_data() -> None:
    forecast = Forecast(FOUND, steps=10)
    assert forecast.images_per_second == pytest.approx(200)
    assert forecast.whole == pytest.approx(10 * 0.5 + 2)
    assert forecast.rate() == "200 images/s (steps alone 200, 2 loader processes 500: the steps set the pace)"


def test_data_that_is_slower_than_the_steps_although_some_batches_were_ready() -> None:
    forecast = Forecast(replace(FOUND, reader_seconds=4.0), steps=10)
    assert forecast.images_per_second == pytest.approx(50)
    assert "steps alone 200, 2 loader processes 50: the data set the pace" in forecast.rate()
    assert Forecast(replace(FOUND, reader_seconds=4.0, workers=8), 10).data_seconds == pytest.approx(1.0), "4 cores"


def test_steps_that_read_for_themselves() -> None:
    forecast = Forecast(replace(FOUND, workers=0, waited=1.5, reader_seconds=1.4), steps=10)
    assert forecast.images_per_second == pytest.approx(50)
    assert forecast.rate() == "50 images/s (steps alone 200; they read their data themselves, 75% of the time)"
    assert (
        Forecast(replace(FOUND, pairs=1, workers=0, waited=1.5), 1)
        .rate()
        .startswith("0.50 images/s (steps alone 2.00;")
    )


def phase(number: int, steps: int) -> Phase:
    return Phase(number, 0, steps, RunConfig())


def test_lines_say_how_it_was_measured() -> None:
    assert forecast_lines([Forecast(FOUND, 10)], [phase(0, 10)]) == [
        "measured on 3 steps after 2 to warm up, in processes of their own:",
        "  compute  1.25 GFLOPs per pair, at 50% of the patches and the captions as they are",
        "  memory   2.50 GiB at the peak of a step, libraries included",
        "  speed    200 images/s (steps alone 200, 2 loader processes 500: the steps set the pace)",
        "  time     0:07 for 1,000 pairs; evaluations and checkpoints come on top",
    ]


def test_phases_add_up() -> None:
    later = replace(FOUND, seconds=1.0, memory_gib=4.0, gflops=2.0)
    lines = forecast_lines([Forecast(FOUND, 10), Forecast(later, 20)], [phase(0, 10), phase(1, 20)])
    assert lines[0] == "measured on 3 steps after 2 to warm up, of each phase, in processes of their own:"
    assert "  memory   4.00 GiB at the peak of a step, libraries included" in lines
    assert lines[-2].startswith("  then     100 images/s (")
    assert lines[-2].endswith(" in phase 2, 2 GFLOPs per pair")
    assert lines[-1].startswith("  time     0:29 for 3,000 pairs")


def test_steps_whose_arithmetic_nobody_could_count_are_forecast_without_it() -> None:
    lines = forecast_lines([Forecast(replace(FOUND, gflops=None), 10)], [Phase(0, 0, 10, RunConfig())])
    assert any(line.startswith("  compute  FLOPs not counted, at 50%") for line in lines)
    assert any(line.startswith("  time ") for line in lines)
