"""Adam's memory in and out of ZeRO, one whole parameter at a time, whatever stage and number of processes share it.

ZeRO lays parameters out in flat pieces that differ by stage and world size. Here each stage only has to say where the
piece of a parameter that this rank holds lies; gathering and spreading are then the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pgsclip.training.saved.optimizer_state import MOMENTS, OptimizerState


class Piece(NamedTuple):
    """What this rank holds of a parameter: `length` numbers from `start` on, at `place` of a flat tensor."""

    flat: Tensor
    place: int
    start: int
    length: int


def gather(zero: Any, adam: torch.optim.Optimizer, stage: int, parameter: nn.Parameter, key: str) -> Tensor:
    """One moment of a parameter, whole, on rank 0; other ranks get numbers without meaning. Called by all ranks."""
    shape = _shape(parameter)
    whole = torch.zeros(shape.numel(), device=parameter.device)
    piece = _piece(zero, stage, parameter)
    if piece is not None:
        whole[piece.start : piece.start + piece.length] = _held(adam.state[piece.flat][key], piece)
    if stage > 0 and dist.get_world_size() > 1:
        dist.reduce(whole, dst=0)
    return whole.reshape(shape)


def spread(
    zero: Any, adam: torch.optim.Optimizer, stage: int, parameters: Mapping[str, nn.Parameter], state: OptimizerState
) -> None:
    """Write every rank's pieces of the moments; parameters without one start from zero."""
    for flat in _flats(zero, adam, stage):
        steps = torch.tensor(float(state.steps), device=flat.device)
        adam.state[flat] = {"step": steps, **{key: torch.zeros_like(flat) for key in MOMENTS}}
    for name, parameter in parameters.items():
        piece = _piece(zero, stage, parameter) if parameter.requires_grad else None
        for key in MOMENTS:
            stored = state.moments[key].get(name)
            if piece is not None and stored is not None:
                part = stored.flatten()[piece.start : piece.start + piece.length]
                _held(adam.state[piece.flat][key], piece).copy_(part)


def _held(memory: Tensor, piece: Piece) -> Tensor:
    return memory.view(-1)[piece.place : piece.place + piece.length]


def _shape(parameter: nn.Parameter) -> torch.Size:
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)  # ZeRO-3 leaves an empty shell outside forward
    return shape


def _flats(zero: Any, adam: torch.optim.Optimizer, stage: int) -> list[Tensor]:
    if stage == 0:
        return [parameter for group in adam.param_groups for parameter in group["params"]]
    return list(zero.single_partition_of_fp32_groups if stage < 3 else zero.fp32_partitioned_groups_flat)


def _piece(zero: Any, stage: int, parameter: Any) -> Piece | None:
    """Where this rank's share of a parameter lies; None when it has none."""
    if stage == 0:
        return Piece(parameter, 0, 0, parameter.numel())
    if stage < 3:
        mapping = parameter._hp_mapping
        if mapping is None:
            return None
        flat = zero.single_partition_of_fp32_groups[mapping.param_group_index]
        held, whole = mapping.hp_fragment_address, mapping.lp_fragment_address
        return Piece(flat, held.start, whole.start, held.numel)
    group, place, size = zero.grad_position[zero.get_param_id(parameter)]
    start = size * dist.get_rank()  # equal shares, the last ones padded: the logit scale lies on rank 0 alone
    count = min(size, parameter.ds_numel - start)
    return Piece(zero.fp32_partitioned_groups_flat[group], place, start, count) if count > 0 else None
