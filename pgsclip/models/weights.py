"""Weights in and out, in open_clip's own form. Nothing is unpickled: tensors only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from open_clip.factory import resize_pos_embed, resize_text_pos_embed
from safetensors.torch import save_file
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.files import atomic_path
from pgsclip.models.logit_scale import BIAS, SCALE
from pgsclip.models.state_file import read_state

_ADVICE = "Set model.name (--model) to the architecture that they were trained with."


@dataclass(frozen=True)
class Loaded:
    """What became of a model's tensors when weights were loaded."""

    tensors: int
    """Of the model, all together."""
    resized: tuple[str, ...] = ()
    """Names of position embeddings that came from another image size or context length."""
    begun: tuple[str, ...] = ()
    """Names of tensors that begin anew, as the weights have none for them."""
    dropped: tuple[str, ...] = ()
    """Names of tensors that the model has no place for."""
    beside: tuple[str, ...] = ()
    """What else the file holds, such as an optimiser's state; it is not used."""

    def sentence(self) -> str:
        """What fits, what was changed, what begins anew and what is left out, without the full stop."""
        parts = [f"{self.tensors - len(self.begun)} of {self.tensors} tensors fit"]
        for what, names in (
            ("resized", self.resized),
            ("begun anew", self.begun),
            ("left out", self.dropped),
            ("not used", self.beside),
        ):
            if names:
                parts.append(f"{what}: {', '.join(names)}")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: Path, advice: str = _ADVICE, *, new_loss: bool = False) -> Loaded:
    """Load a weights file into a model of the same architecture.

    What files are read and how their names become open_clip's is told in `state_file`. Position embeddings of another
    size are resized, as open_clip does it.

    Args:
        advice: what to do about weights of another architecture.
        new_loss: the model's loss may be another than that of the weights. A bias that only the weights have is left
            out; where only the model has one, scale and bias stay as they are, which is how that loss begins.

    Raises:
        ModelError: no such file, not a file of tensors, bytes that differ from their checksum, or weights of another
            architecture.
    """
    found = read_state(path)
    return replace(load_state(model, found.state, str(path), advice, new_loss=new_loss), beside=found.beside)


def load_state(
    model: nn.Module, given: dict[str, Tensor], place: str, advice: str = _ADVICE, *, new_loss: bool = False
) -> Loaded:
    """Load a state dict with open_clip's names, as `load_weights`.

    Args:
        place: where it was found, for the sentence.
    """
    own = model.state_dict()
    state = _named_as(own, given)
    begun, dropped = _fit_loss(own, state) if new_loss else ((), ())
    for name in (SCALE, BIAS):
        if name in state and name in own and state[name].numel() == 1:
            state[name] = state[name].reshape(own[name].shape)
    before = {name: tensor.shape for name, tensor in state.items()}
    for resize in (resize_pos_embed, resize_text_pos_embed):
        with contextlib.suppress(AssertionError, AttributeError, RuntimeError):  # of another architecture: named below
            resize(state, model)
    resized = tuple(sorted(name for name, tensor in state.items() if tensor.shape != before[name]))
    _check_fit(own, state, place, advice)
    if not any(parameter.is_meta for parameter in model.parameters()):  # that of a plan, which has only shapes
        model.load_state_dict(state)
    return Loaded(len(own), resized, begun, dropped)


def _check_fit(own: dict[str, Tensor], state: dict[str, Tensor], place: str, advice: str) -> None:
    """
    Raises:
        ModelError: a tensor is missing, is not the model's, or has another shape.
    """
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    parts = [
        f"{len(names)} {what} (such as {names[0]})"
        for what, names in (("missing", missing), ("not of this model", extra), ("of another shape", wrong))
        if names
    ]
    if parts:
        raise ModelError(f"The weights in {place} do not fit this model: {', '.join(parts)}. {advice}")


def _named_as(own: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of open_clip's `CLIP` under the names of its `CustomTextCLIP`, where the model is one; as open_clip does.

    Buffers that files of transformers before 4.31 hold, and the model does not, are left out.
    """
    state = {name: tensor for name, tensor in given.items() if name in own or not name.endswith(".position_ids")}
    if "positional_embedding" in state and "text.positional_embedding" in own:
        return {f"text.{name}" if f"text.{name}" in own else name: tensor for name, tensor in state.items()}
    return state


def _fit_loss(own: dict[str, Tensor], state: dict[str, Tensor]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take off a bias that the model lacks, or add what its loss begins with; names of both."""
    if BIAS in state and BIAS not in own:
        del state[BIAS]
        return (), (BIAS,)
    if BIAS in own and BIAS not in state:
        state |= {name: own[name].clone() for name in (SCALE, BIAS)}
        return (BIAS, SCALE), ()
    return (), ()


def save_state_dict(state: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, complete or not at all; open_clip reads them with `pretrained=`.

    `logit_scale`, one element in our models, is written without a dimension as open_clip's models have it.
    """
    plain = {
        name: (tensor.reshape(()) if name in {"logit_scale", "logit_bias"} else tensor).contiguous().clone()
        for name, tensor in state.items()
    }
    write_tensors(plain, path)


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors, complete or not at all.

    Raises:
        OSError, SafetensorError: they cannot be written.
    """
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
