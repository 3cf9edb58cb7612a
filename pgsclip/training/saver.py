"""Everything that a run saves to go on from: its rows, a checkpoint, and what its masks look like by then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pgsclip.config.schema import RunConfig
from pgsclip.distributed import World, is_true_on_any_rank
from pgsclip.training.engines.base import Engine
from pgsclip.training.mask_pictures import draw_masks
from pgsclip.training.saved.checkpoint import CheckpointFolder
from pgsclip.training.saved.rank_state import RankState
from pgsclip.training.saved.run_folder import RunFolder


@dataclass
class Saver:
    """Saves a phase of a run, on all ranks together."""

    config: RunConfig
    total: int
    """Steps of the whole run."""
    world: World
    folder: RunFolder
    checkpoints: CheckpointFolder
    _saved_at: float = field(default_factory=time.monotonic)

    def is_time(self) -> bool:
        """Whether `checkpoint.every_minutes` have passed. Called by all ranks at the same steps.

        They decide together, as their clocks differ: a rank that saved alone would wait for the others forever.
        """
        minutes = self.config.checkpoint.every_minutes
        return minutes is not None and is_true_on_any_rank(time.monotonic() - self._saved_at >= 60 * minutes)

    def save(self, engine: Engine, state: RankState) -> None:
        """Save where the run stands.

        Raises:
            RunError: on all ranks, when one of them cannot write.
        """
        if self.world.leads:  # first, so that a power cut never leaves a checkpoint whose rows are lost
            self.folder.flush_rows()
        saved = self.checkpoints.save(engine, state)
        if self.world.leads and self.config.log.mask_images:
            out = self.folder.path / "masks" / f"{saved.name}.png"
            draw_masks(self.config, saved, out, state.step / self.total)
        self._saved_at = time.monotonic()
