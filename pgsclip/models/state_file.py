"""A state dict out of whatever file holds one: safetensors, in one file or several, or a checkpoint of torch.

Nothing of a file runs. Checkpoints of torch are read by its restricted unpickler, which makes tensors and plain
containers; the few other things that trainings write beside the weights become empty stand-ins.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.errors import ModelError
from pgsclip.models.checksums import verify_file
from pgsclip.models.transformers_weights import from_transformers, is_transformers

INDEX = ".safetensors.index.json"
"""How the name of an index ends: weights in several files, as transformers writes them."""
_PLACES = ("state_dict", "model_state_dict", "model", "module")
"""Under which a training checkpoint holds its weights: open_clip's and Lightning's, and other people's."""
_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DDP, torch.compile and a module around the model put before all names."""


class FileState(NamedTuple):
    """What a file holds."""

    state: dict[str, Tensor]
    """Tensors by open_clip's names."""
    beside: tuple[str, ...] = ()
    """Names of what a training checkpoint holds beside its weights."""


def read_state(path: Path) -> FileState:
    """Read the tensors of a file.

    The names of DDP, of torch.compile and of a module around the model are stripped, those of transformers.CLIPModel
    become open_clip's.

    Raises:
        ModelError: no such file, not a file of tensors, or bytes that differ from their checksum.
    """
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}; give a .safetensors or .pt file, or a pretrained tag.")
    wrong = verify_file(path)
    if wrong is not None:
        raise ModelError(f"The weights {path} are damaged: {wrong}. Take another checkpoint, or put back a copy.")
    try:
        if path.name.endswith(INDEX):
            return FileState(_as_open_clip(read_sharded(path)))
        if path.suffix == ".safetensors":
            return FileState(_as_open_clip(load_file(path)))
    except SafetensorError as error:
        what = "names a file that is no" if path.name.endswith(INDEX) else "is not a"
        raise ModelError(f"{path} {what} readable safetensors file: {error}.") from None
    return _of_checkpoint(path, _unpickled(path))


def _unpickled(path: Path) -> Any:
    if _is_torchscript(path):
        raise ModelError(
            f"{path} is a TorchScript archive, a program and not a file of tensors, and is not run. OpenAI's own "
            f"weights are open_clip's tag `openai`. Where you trust it, convert it once: "
            f"torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pt')."
        )
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler meets junk with whatever its bytes lead to
        reason = _reason(str(error)) or type(error).__name__
        raise ModelError(
            f"{path} holds more than tensors or is damaged, and is not unpickled for safety ({reason}). "
            f"Where you trust it, convert it once: checkpoint = torch.load({str(path)!r}, weights_only=False); "
            f"torch.save(checkpoint['state_dict'], 'weights.pt')."
        ) from None


def _reason(error: str) -> str:
    """What torch says is the matter, without its advice to trust the file."""
    global_named = re.search(r"GLOBAL (\S+)", error)
    if global_named:
        return f"it holds {global_named[1]}"
    return error.strip().split("\n")[0].split(". ")[0].removesuffix(".")


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") or "/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _of_checkpoint(path: Path, content: Any) -> FileState:
    holds = isinstance(content, dict)
    place = next((one for one in _PLACES if holds and _is_state(content.get(one))), None)
    state = content[place] if place else content
    if not _is_state(state):
        inside = f", and holds {', '.join(map(str, list(content)[:8]))}" if holds and content else ""
        raise ModelError(
            f"{path} holds no state dict of tensors; expected one, or a checkpoint with one as "
            f"{', '.join(repr(one) for one in _PLACES)}{inside}."
        )
    beside = sorted(str(name) for name in content if name != place) if place else []
    return FileState(_as_open_clip(state), tuple(beside))


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def _as_open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    bare = {name.replace("._orig_mod.", "."): tensor for name, tensor in state.items()}  # of blocks compiled one by one
    while wrapper := next((one for one in _WRAPPERS if bare and all(name.startswith(one) for name in bare)), None):
        bare = {name.removeprefix(wrapper): tensor for name, tensor in bare.items()}
    return from_transformers(bare) if is_transformers(bare) else bare


class _StandIn:
    """Takes the place of an object that nobody needs here; keeps nothing of what it is made from."""

    def __new__(cls, *_: Any, **__: Any) -> _StandIn:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


_NAMES = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.dtype",
    "numpy.ndarray",
    *(f"pathlib.{local}{name}" for local in ("", "_local.") for name in ("PosixPath", "WindowsPath")),
)
"""What trainings write into their checkpoints beside tensors: options, the best figure so far, where data lay."""
_STAND_INS: list[Any] = [(_StandIn, name) for name in _NAMES]


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
