"""Does a masker train better? Every patch, six kinds of masks and a smaller image, at equal samples and equal FLOPs.

    python examples/masker-study/study.py --train 'clipart/train-{00000..00006}.tar::emoji/train-00000.tar' --eval wds

`study.yaml` says how each run trains. Stop it at any time and repeat the command: what is finished is kept, and what is
not goes on from its last checkpoint. Runs go seed by seed, so that a stopped study has compared all variants.

Equal samples: every variant trains for the same number of steps. Equal FLOPs: what costs more per sample than random
masking at 0.5 trains once more, for as many fewer steps as it costs more. It is the unmasked run that is shortened, and
not the masked ones that are made longer, because most variants then need one run for both questions.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from unseen import unseen_shards

from pgsclip.cli.report import compare
from pgsclip.errors import PgsclipError
from pgsclip.files import write_atomically
from pgsclip.report.cost import build_cost
from pgsclip.report.curves import add_flops
from pgsclip.report.runs import read_entries, read_rows
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import train

RECIPE = Path(__file__).with_name("study.yaml")
SETS = ("wds/clipart", "wds/clipart-retrieval", "wds/emoji-twitter", "wds/emoji-twitter-retrieval")
VARIANTS: dict[str, dict[str, object]] = {
    "none": {"masker.name": "none"},
    "random-0.5": {"masker.name": "random", "masker.ratio": "0.5"},
    "centered-0.5": {"masker.name": "centered", "masker.ratio": "0.5"},
    "cluster-0.5": {"masker.name": "cluster", "masker.ratio": "0.5"},
    "pgs-0.5": {"masker.name": "pgs", "masker.ratio": "0.5"},
    "pgs-0.3-0.5": {"masker.name": "pgs", "masker.ratio": "0.3:0.5"},
    "salient-0.5": {"masker.name": "salient", "masker.ratio": "0.5"},
    "resize": {"masker.name": "none", "model.image_size": 40},  # 25 patches, where half of 49 is 24
}
REFERENCE = "random-0.5"
"""Its FLOPs are what the others get."""
SAME = 1.03
"""A sample that costs up to this much more than the reference's costs the same."""


class Study(NamedTuple):
    """What all runs share."""

    out: Path
    data: str
    eval_root: Path
    suite: Path
    settings: list[str]


class Run(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    steps: int | None = None
    """At equal FLOPs; at equal samples, as many as the recipe says."""

    @property
    def name(self) -> str:
        return f"{'flops' if self.steps else 'samples'}/{self.variant}-seed{self.seed}"


def main() -> None:
    given = _arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    suite = given.out / "sets.txt"
    write_atomically(suite, given.sets.replace(",", "\n") + "\n")
    full = [[Run(variant, seed) for variant in given.variants.split(",")] for seed in range(given.seeds)]
    if not given.table:
        data = unseen_shards(given.train, given.eval, given.out / "data")
        study = Study(given.out, data, given.eval, suite, given.set)
        train_all(study, full[0], given.jobs)
        shorter = steps_at_equal_flops(given.out, full[0])
        short = [[Run(variant, seed, steps) for variant, steps in shorter.items()] for seed in range(given.seeds)]
        train_all(study, [run for seed in range(given.seeds) for run in full[seed] + short[seed]], given.jobs)
    write_tables(given.out, full, steps_at_equal_flops(given.out, full[0]))


def train_all(study: Study, runs: Sequence[Run], jobs: int) -> None:
    """Train what is not finished, `jobs` runs at a time; ends the program when one is stopped or fails."""
    waiting = [run for run in runs if not is_finished(study.out / run.name)]
    if jobs == 1:
        train_in_turn(study, waiting)
        return
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[Run | None] = context.SimpleQueue()
    lanes = [context.Process(target=train_from, args=(study, queue)) for _ in range(min(jobs, len(waiting)))]
    for one in lanes:
        one.start()
    for run in [*waiting, *[None] * len(lanes)]:
        queue.put(run)
    try:
        for one in lanes:
            one.join()
    except KeyboardInterrupt:
        for one in lanes:
            one.terminate()  # SIGTERM, on which a run saves itself
            one.join()
    if any(one.exitcode for one in lanes):
        sys.exit("The study stopped. Repeat the command to go on.")


def train_from(study: Study, queue: SimpleQueue[Run | None]) -> None:
    """One process: the runs of a queue on one thread, until there is a None."""
    torch.set_num_threads(1)
    train_in_turn(study, iter(queue.get, None))


def train_in_turn(study: Study, runs: Iterable[Run]) -> None:
    """Runs one after the other; leaves with the exit code of pgsclip where one does not end."""
    try:
        for run in runs:
            train_one(study, run)
    except PgsclipError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def train_one(study: Study, run: Run) -> None:
    """One run, from its start or its last checkpoint to its evaluation; what it says goes to `logs/`."""
    options = {**VARIANTS[run.variant], "data.spec": study.data, "seed": run.seed, "out": str(study.out / run.name)}
    image_size = options.pop("model.image_size", None)
    settings = [*study.settings, f"evaluate.suite={study.suite}", f"evaluate.eval_root={study.eval_root}"]
    settings += [f"model.image_size={image_size}"] if image_size else []
    settings += [f"optim.steps={run.steps}"] if run.steps else []
    request = configure(str(RECIPE), options, settings, resume=Resume.AUTO)
    log = study.out / "logs" / f"{run.name.replace('/', '-')}.txt"
    log.parent.mkdir(exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        train(request, Console(file=file))


def is_finished(folder: Path) -> bool:
    """Whether a run was evaluated, which is the last thing that it does."""
    return any("eval/" in key for row in read_rows(folder / "metrics.jsonl")[-1:] for key in row)


def steps_at_equal_flops(out: Path, runs: Sequence[Run]) -> dict[str, int]:
    """Variant → steps after which it has cost what the reference's whole run has; only those that cost more."""
    done = {run.variant: read_entries(out / run.name)[0] for run in runs if is_finished(out / run.name)}
    if REFERENCE not in done:
        return {}
    totals = {name: add_flops(one.training, build_cost(one.config))[-1] for name, one in done.items()}
    share = {name: totals[REFERENCE]["flops"] / total["flops"] for name, total in totals.items()}
    return {name: round(totals[name]["step"] * part) for name, part in share.items() if part * SAME < 1}


def write_tables(out: Path, full: Sequence[Sequence[Run]], shorter: dict[str, int]) -> None:
    """`equal-samples` and `equal-flops`, of the runs that are finished, by `pgsclip compare`."""
    samples = [run for runs in full for run in runs]
    flops = [run._replace(steps=shorter.get(run.variant)) for run in samples]
    for name, runs in {"samples": samples, "flops": flops}.items():
        folders = [out / run.name for run in runs if is_finished(out / run.name)]
        if len({folder.name.rpartition("-seed")[0] for folder in folders}) > 1:
            compare(folders, over_seeds=True, out=out / f"equal-{name}.html")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train with every masker and compare at equal samples and FLOPs.")
    parser.add_argument("--train", required=True, metavar="SPEC", help="training data, as for pgsclip train --data")
    parser.add_argument("--eval", required=True, type=Path, metavar="DIR", help="folder of the evaluation sets")
    parser.add_argument("--sets", default=",".join(SETS), help="names of the evaluation sets")
    parser.add_argument("--out", type=Path, default=Path("masker-study"), help="where runs and tables go")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="the first is what the others differ from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for every run")
    parser.add_argument("--table", action="store_true", help="train nothing, write the tables of what is finished")
    return parser.parse_args()


if __name__ == "__main__":
    main()
