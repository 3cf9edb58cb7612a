"""Weights in and out, in open_clip's own form. Nothing is unpickled: tensors only."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.factory import resize_pos_embed, resize_text_pos_embed
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.files import atomic_path
from pgsclip.models.checksums import verify_file
from pgsclip.models.transformers_weights import from_transformers, is_transformers

INDEX = ".safetensors.index.json"
"""How the name of an index ends: weights in several files, as transformers writes them."""
_PREFIXES = ("module.", "_orig_mod.")
_ADVICE = "Set model.name to the architecture that they were trained with."


@dataclass(frozen=True)
class Loaded:
    """What became of a model's tensors when weights were loaded."""

    tensors: int
    """Of the model, all together."""
    resized: tuple[str, ...] = ()
    """Names of position embeddings that came from another image size or context length."""
    begun: tuple[str, ...] = ()
    """Names of tensors that the weights do not have."""
    dropped: tuple[str, ...] = ()
    """Names of tensors that the model has no place for."""

    def sentence(self) -> str:
        """What fits, what was changed, what begins anew and what is left out, without the full stop."""
        parts = [f"{self.tensors - len(self.begun)} of {self.tensors} tensors fit"]
        for what, names in (("resized", self.resized), ("begun anew", self.begun), ("left out", self.dropped)):
            if names:
                parts.append(f"{what}: {', '.join(names)}")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: Path, advice: str = _ADVICE) -> Loaded:
    """Load a .safetensors file (or the index of several) or a .pt of open_clip into a model of the same architecture.

    The names of DDP and torch.compile are stripped, those of transformers.CLIPModel become open_clip's, and position
    embeddings of another size are resized, as open_clip does it.

    Args:
        advice: what to do about weights of another architecture.

    Raises:
        ModelError: no such file, not a file of tensors, bytes that differ from their checksum, or weights of another
            architecture.
    """
    state = {_bare(name): tensor for name, tensor in _read(path).items()}
    if is_transformers(state):
        state = from_transformers(state)
    own = model.state_dict()
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in own:
            state[name] = state[name].reshape(own[name].shape)
    before = {name: tensor.shape for name, tensor in state.items()}
    for resize in (resize_pos_embed, resize_text_pos_embed):
        with contextlib.suppress(AssertionError, AttributeError, RuntimeError):  # of another architecture: named below
            resize(state, model)
    resized = tuple(sorted(name for name, tensor in state.items() if tensor.shape != before[name]))
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or extra or wrong:
        parts = [
            f"{len(names)} {what} (such as {names[0]})"
            for what, names in (("missing", missing), ("not of this model", extra), ("of another shape", sorted(wrong)))
            if names
        ]
        raise ModelError(f"The weights in {path} do not fit this model: {', '.join(parts)}. {advice}")
    model.load_state_dict(state)
    return Loaded(len(own), resized)


def save_state_dict(state: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, complete or not at all; open_clip reads them with `pretrained=`.

    The temperature, one element in our models, is written without a dimension as open_clip's models have it.
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


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}; give a .safetensors or .pt file, or a pretrained tag.")
    wrong = verify_file(path)
    if wrong is not None:
        raise ModelError(f"The weights {path} are damaged: {wrong}. Take another checkpoint, or put back a copy.")
    try:
        if path.name.endswith(INDEX):
            return read_sharded(path)
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except SafetensorError as error:
        what = "names a file that is no" if path.name.endswith(INDEX) else "is not a"
        raise ModelError(f"{path} {what} readable safetensors file: {error}.") from None
    except Exception as error:  # the unpickler meets junk with whatever its bytes lead to
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise ModelError(
            f"{path} holds more than tensors or is damaged, and is not unpickled for safety ({reason}). "
            f"Where you trust it, convert it once: load it yourself and write its state dict as safetensors."
        ) from None
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path} holds no state dict of tensors; expected one, or a checkpoint with 'state_dict'.")
    return state


def _bare(name: str) -> str:
    for prefix in _PREFIXES * 2:  # either may be outside
        name = name.removeprefix(prefix)
    return name


def read_sharded(index: Path) -> dict[str, Tensor]:
    """Everything that the files of an index hold.

    Raises:
        ModelError: the index cannot be read, or a file or a tensor that it names is missing.
        SafetensorError: a file is damaged.
    """
    try:
        places: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(name) for name in places.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(
            f"{index} is no index of weights: it must be a JSON object with the file of each tensor in 'weight_map'. "
            f"Fetch it again, or save the model with transformers' save_pretrained."
        ) from None
    missing = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    if missing:
        raise ModelError(
            f"{index} names files that are not beside it: {', '.join(missing)}. Put all {len(names)} of them there."
        )
    state: dict[str, Tensor] = {}
    for name in names:
        state.update(load_file(index.parent / name))
    lost = sorted(places.keys() - state.keys())
    if lost:
        raise ModelError(f"{index} names tensors that its files do not hold, such as {lost[0]}. Fetch all of it again.")
    return state
