"""`pgsclip bench step`: what a training step costs with each masker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.completion import masker_names
from pgsclip.cli.figures import write_figures
from pgsclip.cli.options import Device, JsonFile, Repeats

if TYPE_CHECKING:  # torch stays out of --help
    from pgsclip.benchmarks.step_cost import StepCost

_VARIANTS, _BATCH = "Variants", "Batch"

_Model = Annotated[str, typer.Option(metavar="NAME", help="Name of an open_clip model.", rich_help_panel=_VARIANTS)]
_Masker = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Masker to time; repeatable. none, random and pgs if not given.",
        rich_help_panel=_VARIANTS,
        autocompletion=masker_names,
    ),
]
_Ratio = Annotated[str, typer.Option(metavar="R|LO:HI", help="Share of patches to hide.", rich_help_panel=_VARIANTS)]
_Precision = Annotated[
    str, typer.Option(metavar="fp32|bf16|fp16|auto", help="Precision of all variants.", rich_help_panel=_VARIANTS)
]
_Compile = Annotated[
    bool, typer.Option("--compile", help="Compile all variants with torch.compile.", rich_help_panel=_VARIANTS)
]
_BatchSize = Annotated[int, typer.Option(min=2, metavar="N", help="Pairs per step.", rich_help_panel=_BATCH)]
_CaptionTokens = Annotated[
    int | None,
    typer.Option(
        min=3,
        metavar="N",
        help="Mean length of the captions; the longest that the model reads if not given.",
        rich_help_panel=_BATCH,
    ),
]
_Data = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="Pairs to train on, as for `train`. The last masker is then timed with its loader too.",
        rich_help_panel=_BATCH,
    ),
]


def bench_step(
    model: _Model = "ViT-B-16",
    masker: _Masker = None,
    ratio: _Ratio = "0.5",
    precision: _Precision = "fp32",
    compiled: _Compile = False,
    batch_size: _BatchSize = 16,
    caption_tokens: _CaptionTokens = None,
    data: _Data = None,
    repeats: Repeats = 5,
    device: Device = "auto",
    json_file: JsonFile = None,
) -> None:
    """Time a training step with each masker, beside open_clip's own step without and with patch dropout."""
    from rich.console import Console

    from pgsclip.benchmarks.step_cost import bench_step as measure
    from pgsclip.config.ratio import Ratio
    from pgsclip.config.schema import MaskerConfig
    from pgsclip.distributed import World
    from pgsclip.errors import ConfigError
    from pgsclip.training.assemble import open_device

    try:
        share = Ratio.parse(ratio)
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
    with Console().status("building the variants") as status:
        costs = measure(
            model,
            [(name, MaskerConfig(name=name, ratio=share).ratio) for name in masker or ["none", "random", "pgs"]],
            batch_size=batch_size,
            repeats=repeats,
            precision=precision,
            caption_tokens=caption_tokens,
            compiled=compiled,
            data=data,
            device=open_device(device, World()),
            on_progress=status.update,
        )
    _print_table(costs)
    if json_file:
        write_figures(json_file, costs)


def _print_table(costs: list[StepCost]) -> None:
    width = max(len(cost.name) for cost in costs)
    typer.echo(f"{'variant':{width}}  seconds  of open_clip's  kept  of its arithmetic  MFU  memory GiB")
    for cost in costs:
        memory = "" if cost.memory_gib is None else f"{cost.memory_gib:10.1f}"
        arithmetic = "not counted" if cost.times_floor is None else f"{cost.times_floor:.2f}"
        mfu = "" if cost.mfu is None else f"{cost.mfu:.0%}"
        typer.echo(
            f"{cost.name:{width}}  {cost.seconds:7.3f}  {cost.ratio:13.3f}  {cost.kept:4.0%}  {arithmetic:>17}"
            f"  {mfu:>3}  {memory}".rstrip()
        )
