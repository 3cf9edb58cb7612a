"""Weights as users have them. Files are written by those who write such files: torch, safetensors, numpy, argparse."""

from __future__ import annotations

import argparse
import os
import types
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.models.state_file import FileState, read_state

STATE = {"visual.proj": torch.arange(6.0).reshape(2, 3), "logit_scale": torch.tensor(4.0)}


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def same(found: FileState) -> bool:
    return found.state.keys() == STATE.keys() and all(torch.equal(found.state[name], STATE[name]) for name in STATE)


def test_a_training_checkpoint_is_read_with_all_that_trainings_write_beside_the_weights(tmp_path: Path) -> None:
    """open_clip's own reader refuses such a file."""
    adam = torch.optim.AdamW([nn.Parameter(torch.ones(2))])
    torch.save(
        {
            "epoch": 3,
            "name": "run",
            "state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()},
            "optimizer": adam.state_dict(),
            "scaler": {"scale": 65536.0},
            "args": argparse.Namespace(lr=1e-3, betas=[0.9, 0.98], inner=argparse.Namespace(out=Path("x"))),
            "best_acc1": np.float64(0.25),
            "counts": np.arange(3),
            "more": types.SimpleNamespace(a=np.int64(1)),
        },
        tmp_path / "w.pt",
    )
    found = read_state(tmp_path / "w.pt")
    assert same(found)
    assert found.beside == ("args", "best_acc1", "counts", "epoch", "more", "name", "optimizer", "scaler")


@pytest.mark.parametrize("place", ["state_dict", "model_state_dict", "model", "module"])
def test_weights_are_found_where_others_put_them(place: str, tmp_path: Path) -> None:
    torch.save({"iteration": 5, place: STATE}, tmp_path / "w.pt")
    found = read_state(tmp_path / "w.pt")
    assert same(found)
    assert found.beside == ("iteration",)


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "model._orig_mod."])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_what_wraps_a_model_is_taken_off(wrapper: str, suffix: str, tmp_path: Path) -> None:
    wrapped = {wrapper + name: tensor for name, tensor in STATE.items()}
    save_file(wrapped, tmp_path / "w.safetensors")
    torch.save(wrapped, tmp_path / "w.pt")
    assert same(read_state(tmp_path / f"w.{suffix}"))


def test_blocks_that_were_compiled_one_by_one_have_their_names_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1] = torch.compile(model[1])
    torch.save(model.state_dict(), tmp_path / "w.pt")
    assert set(read_state(tmp_path / "w.pt").state) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_archive_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "ViT-B-32.pt")
    with pytest.raises(ModelError, match=r"is a TorchScript archive, .* is not run\. .* `openai`.*torch\.jit\.load"):
        read_state(tmp_path / "ViT-B-32.pt")


@pytest.mark.parametrize("thing", [date(2024, 1, 1), PurePosixPath("x"), nn.Linear(2, 2), np.random.default_rng(0)])
def test_what_is_not_known_to_be_harmless_is_refused_with_the_way_to_convert_it(thing: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "thing": thing}, tmp_path / "w.pt")
    with pytest.raises(
        ModelError, match=r"unpickled for safety \(it holds .*torch\.load\(.*weights_only=False\); torch"
    ):
        read_state(tmp_path / "w.pt")


class Hidden:
    """A payload inside of something that is let in: nothing of its arguments or its state may run either."""

    def __init__(self, path: Path, how: str) -> None:
        self.path, self.how = path, how

    def __reduce__(self) -> tuple[Any, ...]:
        payload = Payload(self.path)
        if self.how == "argument":
            return argparse.Namespace, (payload,)
        if self.how == "state":
            return argparse.Namespace, (), {"x": payload}
        return np.float64(1.0).__reduce__()[0], (np.dtype("O"), payload)


@pytest.mark.parametrize("how", ["argument", "state", "numpy"])
def test_nothing_runs_inside_of_what_is_let_in(how: str, tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "thing": Hidden(tmp_path / "ran", how)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"not unpickled for safety \(it holds \w+\.mkdir\)"):
        read_state(tmp_path / "w.pt")
    assert not (tmp_path / "ran").exists()


def test_an_array_is_not_made_even_where_it_would_be_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's own readers of pickles never see the file's bytes: a wrong state of a dtype can break a process."""
    torch.save({"state_dict": STATE, "best": np.float64(1.0), "all": np.arange(4)}, tmp_path / "w.pt")
    with torch.serialization.safe_globals([]):
        before = set(torch.serialization.get_safe_globals())
        content = read_state(tmp_path / "w.pt")
        assert set(torch.serialization.get_safe_globals()) == before  # nothing stays let in
    assert same(content)


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "optimizer": {"state": {}}}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"holds no state dict of tensors; expected .*and holds epoch, optimizer\."):
        read_state(tmp_path / "w.pt")


def test_tensors_are_those_of_the_file(tmp_path: Path) -> None:
    shared: Tensor = torch.arange(6.0)
    torch.save({"a": shared[:3], "b": shared.reshape(2, 3).mT}, tmp_path / "w.pt")
    found = read_state(tmp_path / "w.pt").state
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"].tolist() == [[0, 3], [1, 4], [2, 5]]
