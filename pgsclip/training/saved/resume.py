"""Where a run goes on: its checkpoint, and this rank's place in the data."""

from __future__ import annotations

from pgsclip.data.batch import Position
from pgsclip.data.faults import FaultLedger
from pgsclip.data.reshard import resume_position
from pgsclip.distributed import World
from pgsclip.errors import RunError
from pgsclip.training.request import Request
from pgsclip.training.saved.checkpoint import CheckpointFolder, StoredCheckpoint, read_checkpoint
from pgsclip.training.saved.rank_state import RankState


def read_newest(request: Request, checkpoints: CheckpointFolder) -> tuple[StoredCheckpoint | None, str | None]:
    """Read the checkpoint to go on from, if that is asked for. Called by all ranks.

    Returns:
        The checkpoint, and a sentence about newer ones that are damaged; None where there is nothing of the kind.

    Raises:
        RunError: there is none, and the run may not start from the beginning; or none is whole.
    """
    if not request.resume:
        return None, None
    choice = checkpoints.choose()
    if choice.path is None and not request.may_start:
        raise RunError(f"{request.path} has no complete checkpoint to resume from; start again in another --out.")
    return None if choice.path is None else read_checkpoint(choice.path), choice.finding


def place_rank(
    stored: StoredCheckpoint | None, world: World, *, workers: int, epoch_size: int
) -> tuple[RankState, str | None]:
    """Find where this rank starts: to the bit with the same number of ranks and loader workers, else nearby.

    Args:
        stored: the checkpoint that the run goes on from; None where it starts.
        workers: loader workers of each rank.
        epoch_size: pairs of one pass over the data.

    Returns:
        Its state, and a sentence where it is only nearby.
    """
    if stored is None:
        return RankState(streams=workers), None
    first = stored.ranks[0]
    if len(stored.ranks) == world.size and first.streams == workers:
        return stored.ranks[world.rank], None
    before = [position for rank in stored.ranks for position in rank.positions_of_all_workers()]
    epoch, taken = resume_position(before, epoch_size, world.size * workers)
    state = RankState(
        step=first.step,
        samples=first.samples,
        epoch=first.epoch,
        streams=workers,
        positions=tuple(Position(worker, epoch, taken) for worker in range(workers)),
        faults=FaultLedger.joined(rank.faults for rank in stored.ranks).state() if world.leads else {},
    )
    return state, (
        f"The checkpoint was written by {len(stored.ranks)} x {first.streams} loader workers and now there are "
        f"{world.size} x {workers}: weights and optimiser go on exactly, the data at the same place up to a shard per "
        f"worker."
    )
