from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pgsclip.models.flop_counter import FlopCounter


class Layer(nn.Module):
    """Two products, one of which an option leaves out; counts its calls."""

    calls = 0

    def __init__(self, stride: int = 1, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 1, stride=stride)
        self.drop = Drop(drop_prob)

    def forward(self, x: Tensor, *, twice: bool = False, also: Tensor | None = None) -> Tensor:
        Layer.calls += 1
        x = self.drop(self.conv(x))
        if twice:
            x = x @ x.mT @ x
        return x if also is None else x + also @ also.mT


class Drop(nn.Module):
    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return x

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"


def both(layers: nn.ModuleList, run: Any) -> tuple[int, int, int]:
    """FLOPs as torch counts them and as we do, and how many layers ran for ours."""
    with torch.no_grad(), FlopCounterMode(display=False) as theirs:
        run(layers)
    ours = FlopCounter()
    ours.run_like_layers_once(layers)
    Layer.calls = 0
    with torch.no_grad(), ours:
        run(layers)
    return theirs.get_total_flops(), ours.total, Layer.calls


def each(layers: nn.ModuleList, x: Tensor, **options: Any) -> Tensor:
    for layer in layers:
        x = layer(x, **options)
    return x


@pytest.fixture
def x() -> Tensor:
    return torch.empty(1, 4, 32, device="meta")


def test_layers_that_are_alike_run_once_and_count_every_time(x: Tensor) -> None:
    layers = nn.ModuleList(Layer(drop_prob=number / 10) for number in range(5)).to("meta")
    theirs, ours, ran = both(layers, lambda layers: each(layers, x))
    assert theirs == ours == 5 * 2 * 4 * 4 * 32
    assert ran == 1


def test_layers_inside_of_layers_are_counted_once_each(x: Tensor) -> None:
    layers = nn.ModuleList(nn.Sequential(Layer(), Layer()) for _ in range(3)).to("meta")
    theirs, ours, ran = both(layers, lambda layers: each(layers, x))
    assert theirs == ours == 6 * 2 * 4 * 4 * 32
    assert ran == 1


@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 1, 2)])
def test_what_only_its_settings_tell_apart_is_not_alike(strides: tuple[int, ...], x: Tensor) -> None:
    theirs, ours, _ = both(nn.ModuleList(map(Layer, strides)).to("meta"), lambda layers: each(layers, x))
    assert theirs == ours


def test_other_inputs_and_options_are_run_anew(x: Tensor) -> None:
    layers = nn.ModuleList(Layer() for _ in range(2)).to("meta")

    def run(layers: nn.ModuleList) -> None:
        each(layers, x)
        each(layers, x[..., :8])
        each(layers, x, twice=True)
        each(layers, x[..., :4], also=torch.empty(1, 4, 7, device="meta")[..., :4])

    theirs, ours, ran = both(layers, run)
    assert theirs == ours
    assert ran == 4


def test_an_input_that_may_be_changed_runs_every_time(x: Tensor) -> None:
    class Keeping(Layer):
        def forward(self, x: Tensor, cache: set[int]) -> Tensor:
            cache.add(len(cache))
            return super().forward(x)

    cache: set[int] = set()
    layers = nn.ModuleList(Keeping() for _ in range(3)).to("meta")
    theirs, ours, ran = both(layers, lambda layers: each_with(layers, x, cache))
    assert (theirs == ours, ran, len(cache)) == (True, 3, 6)


def each_with(layers: nn.ModuleList, x: Tensor, cache: set[int]) -> Tensor:
    for layer in layers:
        x = layer(x, cache)
    return x


@pytest.mark.parametrize(("dtype", "answer"), [(torch.bool, True), (torch.long, 1), (torch.float32, 1)])
def test_a_question_about_one_value_is_answered(dtype: torch.dtype, answer: object) -> None:
    with FlopCounter():
        assert torch.empty((), dtype=dtype, device="meta").item() == answer
        assert torch.ones((), dtype=torch.long).item() == 1, "of a tensor with numbers it is asked"
