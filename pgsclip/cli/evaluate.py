"""`pgsclip eval`: a checkpoint on the sets of five families of tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.options import WEIGHTS
from pgsclip.cli.run_evaluation import EvalRequest, run_evaluation
from pgsclip.config.defaults import BACKGROUND, EVAL_BATCH_SIZE

evaluation = typer.Typer(
    help="Evaluate any CLIP checkpoint: of a run, of open_clip or of the paper's authors.", no_args_is_help=True
)

_SETS, _SPEED, _RESULTS = "Sets", "Device and speed", "Results"

_Checkpoint = Annotated[str | None, typer.Argument(metavar="CHECKPOINT|RUN", help=WEIGHTS)]
_Suite = Annotated[
    str,
    typer.Option(
        metavar="paper|FILE",
        help="Sets to evaluate on: the paper's, or those that a file names, one a line.",
        rich_help_panel=_SETS,
    ),
]
_Datasets = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="Sets to evaluate on instead of a suite's, such as wds/clipart.", rich_help_panel=_SETS
    ),
]
_EvalRoot = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Folder of the evaluation sets, each as wds_NAME or NAME.", rich_help_panel=_SETS),
]
_Download = Annotated[bool, typer.Option("--download", help="Fetch missing sets and weights.", rich_help_panel=_SETS)]
_Demo = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="Evaluate on small generated sets; without a checkpoint, the untrained smoke model.",
        rich_help_panel=_SETS,
    ),
]
_BatchSize = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Images encoded at once on one process.", rich_help_panel=_SPEED),
]
_Workers = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Loader workers; as many as suit each set if not given.", rich_help_panel=_SPEED
    ),
]
_Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device that computes.", rich_help_panel=_SPEED)
]
_Precision = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|amp",
        help="Precision; amp is autocast. auto: amp on a GPU, fp32 elsewhere.",
        rich_help_panel=_SPEED,
    ),
]
_Background = Annotated[
    str,
    typer.Option(metavar="COLOUR", help="Colour that shows where an image is transparent.", rich_help_panel=_SETS),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of the results; RUN/eval or ./eval if not given.", rich_help_panel=_RESULTS
    ),
]
_JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="JSON file to write all results to.", rich_help_panel=_RESULTS),
]

_HELP = {
    "zeroshot": "Classify images by class names alone: 17 sets.",
    "retrieval": "Find the caption of an image and the image of a caption: MS-COCO, Flickr8k, Flickr30k.",
    "linear-probe": "Train a linear layer on frozen features: CIFAR-10, CIFAR-100, ImageNet-1K.",
    "robustness": "Classify ImageNet and five variants of it by class names alone.",
    "compositionality": "Tell the right caption from one that is nearly right: SugarCrepe's seven parts.",
    "all": "Evaluate all five families.",
}


def _command(family: str) -> Callable[..., None]:
    def command(
        checkpoint: _Checkpoint = None,
        suite: _Suite = "paper",
        datasets: _Datasets = None,
        eval_root: _EvalRoot = Path("data"),
        batch_size: _BatchSize = EVAL_BATCH_SIZE,
        workers: _Workers = None,
        device: _Device = "auto",
        precision: _Precision = "auto",
        background: _Background = BACKGROUND,
        out: _Out = None,
        json_file: _JsonFile = None,
        download: _Download = False,
        demo: _Demo = False,
    ) -> None:
        from pgsclip.results.suites import FAMILIES

        families = list(FAMILIES) if family == "all" else [family]
        run_evaluation(
            EvalRequest(
                families, checkpoint, suite, datasets, eval_root, batch_size, workers, device, precision, background,
                out, json_file, download, demo,
            )
        )  # fmt: skip

    command.__doc__ = _HELP[family]
    return command


for _family in _HELP:
    evaluation.command(_family)(_command(_family))
