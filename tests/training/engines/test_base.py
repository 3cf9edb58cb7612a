"""What every engine must do alike, and how one is chosen."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsclip.config.schema import EngineConfig
from pgsclip.errors import ConfigError, RunError
from pgsclip.training.distributed import World
from pgsclip.training.engines.base import autocast_dtype, pick_device, pick_engine, restoring

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
def test_every_weight_moved_and_the_temperature_came_down(engine: str, ranks: str, found: Found) -> None:
    result = found(f"{engine}-{ranks}")
    for name, before in result["before"].items():
        assert not torch.equal(result["weights"][name], before), name
    assert result["weights"]["logit_scale"].item() < result["before"]["logit_scale"].item() - 0.001


@pytest.mark.parametrize("trial", [f"{engine}-{ranks}" for engine in ENGINES for ranks in ("alone", "two")])
def test_a_resumed_run_is_the_same_to_the_last_bit(trial: str, found: Found) -> None:
    result = found(trial)
    assert torch.equal(result["resumed losses"], result["losses"][2:])
    torch.testing.assert_close(result["resumed weights"], result["weights"], atol=0, rtol=0)


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


@pytest.mark.parametrize("engine", ["torch", "zero0", "zero1", "zero3"])
def test_a_payload_in_a_checkpoint_does_not_run(engine: str, found: Found) -> None:
    said = found(f"{engine}-refuse")
    assert "RunError: The state in" in said["payload"]
    assert "holds more than tensors, which is not unpickled for safety (Weights only load failed)" in said["payload"]
    assert not any(ran for case, ran in said.items() if case.endswith(" ran"))


@pytest.mark.parametrize("engine", ["torch", "zero0", "zero1", "zero3"])
def test_another_engine_s_checkpoint_is_refused(engine: str, found: Found) -> None:
    own, other = ("torch", "deepspeed") if engine == "torch" else ("deepspeed", "torch")
    said = found(f"{engine}-refuse")["other engine"]
    assert f"holds no state of the {own} engine; it was written by another one. Resume with the engine" in said
    assert said.endswith(f"--engine {other}.")


@pytest.mark.parametrize("case", ["damaged", "missing"])
@pytest.mark.parametrize("engine", ["torch", "zero0", "zero1", "zero3"])
def test_a_damaged_checkpoint_is_a_sentence(engine: str, case: str, found: Found) -> None:
    said = found(f"{engine}-refuse")[case]
    assert said.startswith("RunError: ")
    assert ("cannot be restored: it is damaged" in said) or (engine == "torch" and "holds no state" in said)


def test_a_sentence_of_ours_passes_and_anything_else_becomes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mine"), restoring(tmp_path):
        raise ConfigError("mine")
    with pytest.raises(RunError, match=r"cannot be restored: .* \(KeyError\). Delete that folder"), restoring(tmp_path):
        raise KeyError
    with pytest.raises(RunError, match=r"for safety \(bad\)"), restoring(tmp_path):
        raise pickle.UnpicklingError("bad. Try weights_only=False\nand more")


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
