"""`pgsclip train`: options in, a run folder out."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import typer

from pgsclip.cli.train_options import (
    BatchSize,
    Data,
    DryRun,
    Engine,
    Epochs,
    Masker,
    NoMeasure,
    Out,
    Ratio,
    Recipe,
    Resume,
    Seed,
    Settings,
    Steps,
    StopAfter,
)

if TYPE_CHECKING:  # both would bring torch into --help
    from pgsclip.config.schema import RunConfig
    from pgsclip.training.request import Request
    from pgsclip.training.run import Outcome

_EPILOG = """
**Examples**

`pgsclip train --masker pgs --ratio 0.5` — the smoke run: about a minute on a laptop, no data needed

`pgsclip train --recipe clipart --data 'shards/train-{00000..00006}.tar'` — train on your own pairs

`pgsclip train --recipe cc12m-vit-b16-pgs-0.3 --data '/data/cc12m/{00000..01242}.tar' --dry-run` — what it would take

`torchrun --nproc-per-node 8 -m pgsclip train --recipe cc12m-vit-b16-flip-0.5 --data ...` — on eight GPUs

`pgsclip train ... --out runs/mine --resume auto --stop-after 3h30m` — in a queue: repeat while it ends with 75
"""


def train(
    masker: Masker = None,
    ratio: Ratio = None,
    recipe: Recipe = None,
    data: Data = None,
    steps: Steps = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    out: Out = None,
    seed: Seed = None,
    engine: Engine = None,
    resume: Resume = None,
    stop_after: StopAfter = None,
    dry_run: DryRun = False,
    no_measure: NoMeasure = False,
    settings: Settings = None,
) -> None:
    """Train a CLIP model while its image encoder sees only some of the patches.

    Without a recipe and data, a tiny model is trained on generated pictures: proof that everything works here.
    """
    options: dict[str, Any] = {
        "masker.name": masker,
        "masker.ratio": ratio,
        "data.spec": data,
        "out": None if out is None else str(out),
        "optim.steps": steps,
        "optim.epochs": epochs,
        "data.batch_size": batch_size,
        "seed": seed,
        "engine.name": engine,
    }
    from pgsclip.training.stop import StopRequest, parse_duration

    stop = StopRequest(None if stop_after is None else parse_duration(stop_after))
    with nullcontext() if dry_run else stop:  # a signal during the imports that follow, which take seconds, counts too
        from rich.console import Console

        from pgsclip.errors import ConfigError
        from pgsclip.training.request import configure, parse_resume

        if no_measure and not dry_run:
            raise ConfigError("--no-measure works only together with --dry-run. Give both, or neither.")
        if epochs is not None and steps is None:  # what is typed counts, also where the recipe has steps
            settings = ["optim.steps=null", *(settings or [])]
        request = configure(recipe, options, settings or [], resume=parse_resume(resume))
        if dry_run:
            _print_plan(request, measure=not no_measure)
            return
        from pgsclip.training.run import train as train_run

        if request.config.masker.hides_nothing and ratio not in (None, "0"):
            typer.echo(f"The masker none shows every patch; --ratio {ratio} has no effect.", err=True)
        outcome = train_run(request, Console(), stop)
    if outcome.led_by_us:
        typer.echo(_closing(request.config, outcome))


def _print_plan(request: Request, *, measure: bool) -> None:
    from rich.console import Console

    from pgsclip.config.resolve import to_yaml
    from pgsclip.launchers import read_world
    from pgsclip.training.planning.autotune import settle
    from pgsclip.training.planning.plan import make_plan, measured

    world = read_world()
    config, findings = request.config, request.findings
    with Console(stderr=True).status("counting") as status:
        if measure:
            config, more = settle(config, world, status.update)
            findings += more
        plan = make_plan(config, world)
        if measure:
            status.update("measuring a few steps")
            plan = measured(plan, config, world)
    typer.echo(to_yaml(config))
    typer.echo("\n".join([*findings, *plan.lines()]))


def _closing(config: RunConfig, outcome: Outcome) -> str:
    """Say what was done, what came out and what to type next."""
    nothing = "Nothing was evaluated: name held-out pairs with --set evaluate.data=SPEC."
    lines = [f"Trained {outcome.steps} steps.", *(outcome.findings or [nothing])]
    lines += [
        f"Run folder: {outcome.path}",
        f"Weights:    {outcome.checkpoint}/open_clip_model.safetensors (open_clip reads it as it is)",
    ]
    if config.recipe == "smoke":
        other = f"pgsclip train --masker {'pgs' if config.masker.name == 'random' else 'random'} --ratio 0.5"
        lines += [
            "This was the smoke run: a tiny model on generated scenes, to show that everything works here. Next:",
            "  pgsclip viz-mask photo.jpg                                   what each masker keeps of your picture",
            f"  {other:61}another masker, to compare",
            "  pgsclip train --recipe clipart --data 'shards/train-{00000..00006}.tar'   your own pairs",
            "  pgsclip recipes                                              the published settings",
        ]
    return "\n".join(lines)


train.__doc__ = f"{inspect.cleandoc(train.__doc__ or '')}\n{_EPILOG}"
