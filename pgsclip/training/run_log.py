"""Everything that a run tells: rows in its folder and to loggers, sentences and a live line to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgsclip.distributed import World, broadcast_object, fail_together
from pgsclip.loggers.contract import Row, RunInfo, RunLogger
from pgsclip.loggers.registry import Loggers
from pgsclip.training.display import Display
from pgsclip.training.request import Request
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.saved.run_lock import RunLock


class RunLog:
    """The voice of a run over all its phases. Every rank has one; only that of the leading process is heard."""

    def __init__(
        self,
        folder: RunFolder,
        world: World,
        display: Display,
        makers: Mapping[str, Callable[[RunInfo], RunLogger]] | None = None,
    ) -> None:
        """
        Args:
            makers: how to make each logger once the folder is there, by name.
        """
        self.folder = folder
        self.world = world
        self.display = display
        self._makers = makers or {}
        self._loggers = Loggers({}, display.say)
        self._is_open = False
        self._said: set[str] = set()

    def open(self, request: Request, step: int, lock: RunLock) -> None:
        """Create the run's folder, or go on in it, and start the loggers; in the first phase only. Called by all ranks.

        This comes after all parts of a run were built, so that a mistake in its config leaves no folder behind.

        Args:
            step: from which the run goes on; rows of later ones are dropped, as they will come again.

        Raises:
            RunError: on all ranks, when the folder cannot be made or another run is at work in it.
        """
        if not self._is_open:
            fail_together(lambda: self._open(request, step, lock) if self.world.leads else None)
            self._is_open = True

    def _open(self, request: Request, step: int, lock: RunLock) -> None:
        if request.resume:
            self.folder.describe(request.config)
            self.folder.forget_rows_after(step)
        else:
            self.folder.create(request.config)
            lock.take()
        run = RunInfo(self.folder.path, request.config.model_dump(mode="json"), step)
        self._loggers = Loggers({name: make(run) for name, make in self._makers.items()}, self.display.say)

    def say(self, sentence: str) -> None:
        """Show one sentence that stays."""
        self.display.say(sentence)

    def say_once(self, sentence: str) -> None:
        """Show a sentence that holds for every phase in the first one."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.say(sentence)

    def show(self, row: Row, seconds_left: float) -> None:
        """Show a row of figures as the live line, or as one more plain line."""
        self.display.show(row, seconds_left)

    def add_row(self, row: Row) -> None:
        """Write a row of figures to `metrics.jsonl` and to the loggers."""
        if self.world.leads:
            self.folder.add_row(row)
            self._loggers.log(row)

    def add_results(self, step: int, results: Mapping[str, float]) -> None:
        """Write and show what the evaluation after a step found; results that are written down already stay."""
        if not results:
            return
        if self.world.leads and not self.folder.has_results(step):
            self.add_row({"step": step, **{f"eval/{name}": value for name, value in results.items()}})
        self.say(f"step {step}  " + "  ".join(f"{name} {value:.4f}" for name, value in results.items()))

    def has_results(self, step: int) -> bool:
        """Whether the evaluation after a step is written down, by the leading process's word. Called by all ranks."""
        return broadcast_object(self.folder.has_results(step))

    def close(self) -> None:
        """End the loggers."""
        self._loggers.close()
