"""What every engine must do alike, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pgsclip.config.schema import EngineConfig
from pgsclip.distributed import World
from pgsclip.training.engines.base import autocast_dtype, pick_device, pick_engine
from pgsclip.training.saved.optimizer_state import OptimizerState

Found = Callable[[str], dict[str, Any]]
ENGINES = ["torch", "zero0", "zero1", "zero2", "zero3"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("ranks", ["alone", "two"])
@pytest.mark.parametrize("engine", ENGINES)
def test_losses_and_weights_are_those_of_a_plain_loop_in_float64(engine: str, ranks: str, found: Found) -> None:
    """Alone without clipping, two processes with: the loop has the whole batch in one process."""
    result = found(f"{engine}-{ranks}")
    reference = result["reference"]
    assert reference["norms"].min() > 1  # so that a clipping which nobody asked for would show, and 0.5 is felt
    torch.testing.assert_close(result["losses"].double(), reference["losses"], atol=2e-6, rtol=2e-6)
    weights = {name: tensor.double() for name, tensor in result["weights"].items()}
    torch.testing.assert_close(weights, reference["weights"], atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize("ranks", ["alone", "two"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_weight_moved_and_the_logit_scale_came_down(engine: str, ranks: str, found: Found) -> None:
    result = found(f"{engine}-{ranks}")
    for name, before in result["before"].items():
        assert not torch.equal(result["weights"][name], before), name
    assert result["weights"]["logit_scale"].item() < result["before"]["logit_scale"].item() - 0.001


@pytest.mark.parametrize("trial", [f"{engine}-{ranks}" for engine in ENGINES for ranks in ("alone", "two")])
def test_a_resumed_run_is_the_same_to_the_last_bit(trial: str, found: Found) -> None:
    result = found(trial)
    assert torch.equal(result["resumed losses"], result["losses"][2:])
    torch.testing.assert_close(result["resumed weights"], result["weights"], atol=0, rtol=0)


@pytest.mark.parametrize("case", ["locked", "tuned"])
@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_frozen_stays_and_the_rest_is_trained_as_by_a_plain_loop(engine: str, case: str, found: Found) -> None:
    """`tuned` also trains the norms of what is frozen, and each layer at half the rate of the next one."""
    result = found(f"{engine}-{case}")
    reference = result["reference"]
    torch.testing.assert_close(result["losses"].double(), reference["losses"], atol=2e-6, rtol=2e-6)
    weights = {name: tensor.double() for name, tensor in result["weights"].items()}
    torch.testing.assert_close(weights, reference["weights"], atol=5e-6, rtol=1e-5)
    still = {name for name, before in result["before"].items() if torch.equal(result["weights"][name], before)}
    assert still.isdisjoint(result["moments"])
    assert still | {*result["moments"]} == result["weights"].keys()
    visual = {name for name in result["weights"] if name.startswith("visual.")}
    if case == "locked":
        assert still == visual
    else:
        assert "visual.transformer.resblocks.1.mlp.c_fc.weight" not in still
        assert {
            "visual.conv1.weight",
            "visual.transformer.resblocks.0.mlp.c_fc.weight",
            "token_embedding.weight",
        } <= still
        assert not any("ln_" in name for name in still)
    assert torch.equal(result["resumed losses"], result["losses"][2:])
    torch.testing.assert_close(result["resumed weights"], result["weights"], atol=0, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_maskers_and_losses_that_follow_the_weights_do_so_on_every_engine_and_resume_to_the_last_bit(
    engine: str, found: Found
) -> None:
    result, plain = found(f"{engine}-plugged"), found("torch-plugged")
    assert torch.equal(result["resumed losses"], result["losses"][2:])
    torch.testing.assert_close(result["resumed weights"], result["weights"], atol=0, rtol=0)
    torch.testing.assert_close(result["resumed states"], result["states"], atol=0, rtol=0)
    torch.testing.assert_close(result["losses"], plain["losses"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(result["states"], plain["states"], atol=1e-5, rtol=1e-4)
    [teacher] = result["states"]["pgsclip.maskers"].values()
    visual = {f"visual.{name}": tensor for name, tensor in teacher.items()}
    assert visual.keys() <= result["weights"].keys()
    assert not torch.allclose(visual["visual.proj"], result["weights"]["visual.proj"], atol=1e-4)  # it follows behind
    agreement = result["states"]["pgsclip.losses"]["agreement"]
    assert agreement["steps"] == 4
    assert not torch.equal(agreement["mean"], agreement["head.weight"])


def test_auxiliary_losses_have_the_gradient_of_the_whole_batch_in_parts_too(found: Found) -> None:
    whole, parts = found("torch-plugged-1"), found("torch-plugged-1x2")
    torch.testing.assert_close(parts["losses"], whole["losses"], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(parts["states"], whole["states"], atol=1e-5, rtol=1e-4)
    assert torch.equal(parts["resumed losses"], parts["losses"][2:])


@pytest.mark.parametrize("trial", [f"{engine}-{ranks}" for engine in ENGINES for ranks in ("alone", "two")])
def test_features_are_whole_normalised_and_may_be_asked_for_one_side_at_a_time(trial: str, found: Found) -> None:
    result = found(trial)
    expected = found("torch-alone" if trial.endswith("alone") else "torch-two")["features"]
    for both, alone, reference in zip(result["features"], result["parts"], expected, strict=True):
        torch.testing.assert_close(both.norm(dim=-1), torch.ones(8))
        torch.testing.assert_close(both, alone)
        torch.testing.assert_close(both, reference, atol=1e-5, rtol=1e-4)
        assert not both.requires_grad


def test_timm_tower_own_text_tower_and_bias_train_alike_split_over_two_processes(found: Found) -> None:
    plain, split = found("torch-timm"), found("zero3-timm")
    assert "logit_bias" in plain["weights"]
    torch.testing.assert_close(split["losses"], plain["losses"], atol=1e-5, rtol=1e-5)
    assert split["weights"].keys() == plain["weights"].keys()
    torch.testing.assert_close(split["weights"], plain["weights"], atol=1e-5, rtol=1e-4)
    for result in (plain, split):
        assert torch.equal(result["resumed losses"], result["losses"][2:])
        assert result["weights"]["kept_buffer"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("engine", ["torch", "zero1"])
def test_half_precision_computes_nearly_the_same_on_float32_weights(engine: str, precision: str, found: Found) -> None:
    result = found(f"{engine}-{precision}")
    exact = result["reference"]["losses"]
    assert not torch.equal(result["losses"].double(), found(f"{engine}-alone")["losses"].double())
    torch.testing.assert_close(result["losses"].double(), exact, atol=0.02, rtol=0.02)
    assert {tensor.dtype for tensor in result["weights"].values()} == {torch.float32}
    scale = result["reference"]["weights"]["logit_scale"]
    torch.testing.assert_close(result["weights"]["logit_scale"].double(), scale, atol=1e-3, rtol=0)
    assert torch.equal(result["resumed losses"], result["losses"][2:])


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("loss", ["clip", "siglip"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_gradient_is_that_of_the_whole_batch_in_one_process(
    engine: str, loss: str, ranks: int, parts: int, found: Found
) -> None:
    """Whatever engine, stage, loss, number of processes and of parts. docs/gradients.md has the figures."""
    result = found(f"{engine}-{loss}-{ranks}x{parts}")
    assert result["gradients"].keys() == result["expected"].keys()
    assert largest_error(result) < 1e-5


def largest_error(result: dict[str, Any]) -> float:
    """Of any parameter, relative to the length of its gradient."""
    pairs = ((result["gradients"][name], expected) for name, expected in result["expected"].items())
    return max(float((ours - expected).norm() / expected.norm()) for ours, expected in pairs)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_hand_over_to_one_and_back_as_if_nothing_had_happened(engine: str, found: Found) -> None:
    unbroken, changing = found(f"{engine}-unbroken-2"), found(f"{engine}-changing-2")
    torch.testing.assert_close(changing["weights"], unbroken["weights"], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(changing["moments"], unbroken["moments"], atol=1e-6, rtol=1e-6)
    assert changing["moments"]["exp_avg"].keys() == unbroken["weights"].keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_that_is_not_finite_on_one_rank_changes_nothing_on_any(engine: str, found: Found) -> None:
    result = found(f"{engine}-skip")
    assert result["left out"].tolist() == [False, True, False]
    torch.testing.assert_close(result["weights"], result["without"], atol=0, rtol=0)


def test_moments_of_another_shape_are_left_behind() -> None:
    moments = {"exp_avg": {"a": torch.zeros(2), "b": torch.zeros(3)}}
    kept = OptimizerState(moments, 5).fitting({"a": torch.Size([2]), "b": torch.Size([4])})
    assert kept.moments["exp_avg"].keys() == {"a"}
    assert kept.steps == 5


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16), ("auto", None)],
)
def test_precision_on_a_cpu(precision: str, expected: torch.dtype | None) -> None:
    assert autocast_dtype(precision, CPU) == expected


@pytest.mark.parametrize("has_bf16", [True, False])
def test_auto_is_bf16_on_gpus_that_compute_in_it(has_bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    assert autocast_dtype("auto", torch.device("cuda")) == (torch.bfloat16 if has_bf16 else None)


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    available = {"cuda": True, "mps": True}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: available["mps"])
    assert pick_device("auto", World(3, 4, 1)) == torch.device("cuda", 1)
    assert taken == [torch.device("cuda", 1)]
    available["cuda"] = False
    assert pick_device("auto", World()) == torch.device("mps")
    available["mps"] = False
    assert pick_device("auto", World()) == CPU
    assert pick_device("cpu", World(1, 2, 1)) == CPU


@pytest.mark.parametrize(
    ("name", "world", "device", "expected"),
    [
        ("auto", World(), "cpu", "torch"),
        ("auto", World(0, 2, 0), "cpu", "deepspeed"),
        ("auto", World(), "cuda", "deepspeed"),
        ("auto", World(), "mps", "torch"),
        ("torch", World(0, 2, 0), "cuda", "torch"),
        ("deepspeed", World(), "cpu", "deepspeed"),
    ],
)
def test_auto_takes_deepspeed_on_a_gpu_or_with_several_processes(
    name: Any, world: World, device: str, expected: str
) -> None:
    assert pick_engine(EngineConfig(name=name), world, torch.device(device)) == expected
