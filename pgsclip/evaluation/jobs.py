"""Which sets an evaluation means, where some are named that no suite knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgsclip.evaluation.layouts import kind_of
from pgsclip.results.suites import Job, canonical, plan_jobs


def jobs_of(families: Sequence[str], suite: str, datasets: Sequence[str], root: Path) -> list[Job]:
    """The jobs of some families; a named set goes to the family that its files in `root` say it belongs to.

    Raises:
        ConfigError: no such family or suite.
    """
    named = [canonical(name) for name in datasets if name.strip()]
    return plan_jobs(families, suite, named, {name: kind_of(name, root) for name in named})
