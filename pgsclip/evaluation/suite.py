"""A suite of sets while a run goes on: the same jobs as `pgsclip eval`, on the weights of the moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from pgsclip.config.defaults import BACKGROUND
from pgsclip.errors import DataError
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.evaluate import EvalOptions, Evaluator
from pgsclip.evaluation.layouts import MissingSetError, family_of, locate
from pgsclip.results.averages import average_values
from pgsclip.results.suites import FAMILIES, MAIN_METRIC, Job, plan_jobs


@dataclass
class SuiteSets:
    """Every set of a suite that is there. All ranks take part in each evaluation."""

    name: str
    root: Path
    jobs: list[Job]
    transform: Callable[[Any], Tensor]
    batch_size: int
    background: str = BACKGROUND
    missing: list[str] = field(default_factory=list)

    def evaluate(self, encoder: Encoder) -> dict[str, float]:
        """Compute `family/dataset/metric` → value."""
        work = Evaluator(
            encoder, self.transform, "", EvalOptions(self.root, batch_size=self.batch_size, background=self.background)
        )
        found: dict[str, float] = {}
        for job in self.jobs:
            scores, _, _ = work.scores(job, locate(job, self.root), lambda done: None)
            found |= {f"{job.family}/{job.dataset}/{metric}": value for metric, value in scores.metrics.items()}
        return found

    def sentence(self, results: dict[str, float]) -> str:
        """Write the paper's averages where they can be formed, else the first number of each family."""
        main = {
            (job.family, job.dataset): value
            for job in self.jobs
            if (value := results.get(f"{job.family}/{job.dataset}/{MAIN_METRIC[job.family]}")) is not None
        }
        parts = [f"{name} {value:.1%}" for name, value in average_values(main).items()]
        parts = parts or [f"{family} {dataset} {value:.1%}" for (family, dataset), value in main.items()][:5]
        left_out = f"; {len(self.missing)} sets are missing" if self.missing else ""
        return f"suite {self.name}, {len(self.jobs)} sets: {', '.join(parts)}{left_out}"


def open_suite(
    suite: str, root: Path, transform: Callable[[Any], Tensor], batch_size: int, background: str = BACKGROUND
) -> SuiteSets:
    """Open the sets of a suite that are there.

    Raises:
        ConfigError: there is no such suite.
        DataError: none of its sets is there; raised before the run starts.
    """
    names = plan_jobs(["zeroshot"], suite) if suite != "paper" else []
    kinds = {job.dataset: family_of(job.dataset, root) for job in names}
    jobs, missing = [], []
    for job in plan_jobs(FAMILIES, suite, (), kinds):
        try:
            locate(job, root)
        except MissingSetError as error:
            missing.append(str(error))
        else:
            jobs.append(job)
    if not jobs:
        raise DataError(
            f"None of the sets of the suite {suite} is in {root}. Name another folder with "
            f"--set evaluate.eval_root=DIR, or leave the suite out with evaluate.suite=null. {missing[0]}"
        )
    return SuiteSets(Path(suite).stem, root, jobs, transform, batch_size, background, missing)
