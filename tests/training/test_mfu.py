from __future__ import annotations

import pytest
import torch

from pgsclip.config.resolve import resolve
from pgsclip.distributed import World
from pgsclip.errors import ModelError
from pgsclip.models.flops import Curve, PairFlops, count_flops
from pgsclip.training import mfu
from pgsclip.training.assemble import build_task
from pgsclip.training.mfu import Arithmetic, measure_arithmetic

PAIR = PairFlops(Curve(1, 10, 0), Curve(0, 0, 1))


def test_a_step_is_three_forward_passes_of_each_view_and_of_each_caption_at_its_own_length() -> None:
    arithmetic = Arithmetic(PAIR, patches=16, views=2, tokens=None, rate=1.0)
    parts = [torch.tensor([3, 4]), torch.tensor([1])]
    assert arithmetic.step(0.5, parts) == 3 * (3 * 2 * (1 + 10 * 8) + 9 + 16 + 1)


def test_of_a_shortened_caption_only_what_is_left_counts() -> None:
    arithmetic = Arithmetic(PAIR, patches=16, views=1, tokens=3, rate=1.0)
    assert arithmetic.step(1.0, [torch.tensor([2, 9])]) == 3 * (2 * (1 + 10 * 16) + 4 + 9)


def test_a_model_that_cannot_be_counted_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(built: object) -> PairFlops:
        raise ModelError("The text tower of this model cannot be run without its numbers (so and so).")

    monkeypatch.setattr(mfu, "pair_flops", refuse)
    config = resolve("smoke", {}, [])
    found = measure_arithmetic(config, build_task(config, World(), count_words=False)[0], torch.device("cpu"), None)
    assert found.step(1.0, [torch.tensor([2])]) is None
    assert found.finding is not None
    assert "The text tower of this model" in found.finding
    assert "MFU" in found.finding


def test_it_is_that_of_the_model_of_the_run() -> None:
    config = resolve("smoke", {}, ["data.views=2", "text.masker=truncate", "text.max_tokens=6"])
    built, _ = build_task(config, World(), count_words=False)
    found = measure_arithmetic(config, built, torch.device("cpu"), None)
    one = count_flops(built, kept_patches=32, text_length=6)
    assert found.step(0.5, [torch.tensor([20])]) == pytest.approx(3 * (2 * one.image + one.text), rel=1e-12)
    assert found.rate > 1e8
