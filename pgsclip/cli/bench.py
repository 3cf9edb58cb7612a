"""`pgsclip bench`: what things cost on this machine, side by side in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.bench_masks import bench_masks
from pgsclip.cli.figures import write_figures
from pgsclip.config.defaults import EVAL_BATCH_SIZE, LOGITS_PER_CHUNK

bench = typer.Typer(help="What things cost on this machine, side by side in one run.", no_args_is_help=True)


@bench.callback()
def _root() -> None:
    """Benchmarks."""


bench.command("masks")(bench_masks)


@bench.command("step")
def step(
    model: Annotated[str, typer.Option(help="An open_clip model name.")] = "ViT-B-16",
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs per step.")] = 16,
    masker: Annotated[list[str] | None, typer.Option(help="Repeatable; none, random and pgs when not given.")] = None,
    ratio: Annotated[str, typer.Option(metavar="R|LO:HI", help="Share of patches to hide.")] = "0.5",
    caption_tokens: Annotated[
        int | None, typer.Option(min=3, help="Mean length of the captions; as long as possible when not given.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; all variants take turns in each.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or auto, for all variants.")] = "fp32",
    data: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Real pairs, as for train; the last masker is also timed with its loader."),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="The blocks of all variants by torch.compile.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Seconds of one training step with each masker, beside open_clip's own step without and with patch dropout."""
    from rich.console import Console

    from pgsclip.benchmarks.step_cost import bench_step
    from pgsclip.config.ratio import Ratio
    from pgsclip.config.schema import MaskerConfig
    from pgsclip.distributed import World
    from pgsclip.errors import ConfigError
    from pgsclip.training.assemble import open_device

    try:
        share = Ratio.parse(ratio)
    except ValueError as error:
        raise ConfigError(f"--ratio: {error}.") from None
    chosen = [(name, MaskerConfig(name=name, ratio=share).ratio) for name in masker or ["none", "random", "pgs"]]
    console = Console()
    with console.status("building the variants") as status:
        costs = bench_step(
            model,
            chosen,
            batch_size=batch_size,
            repeats=repeats,
            precision=precision,
            caption_tokens=caption_tokens,
            compiled=compiled,
            data=data,
            device=open_device(device, World()),
            on_progress=status.update,
        )
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
    if json_file:
        write_figures(json_file, costs)


@bench.command("maskers")
def maskers(
    masker: Annotated[
        list[str] | None,
        typer.Option(help="Repeatable, with parameters if wanted: 'pgs landmarks=196'. All that work when not given."),
    ] = None,
    image_size: Annotated[int, typer.Option(min=1, help="Side of the pictures in pixels.")] = 224,
    patch_size: Annotated[int, typer.Option(min=1, help="Side of a patch in pixels.")] = 16,
    width: Annotated[int, typer.Option(min=1, help="Of the patch embeddings.")] = 768,
    batch_size: Annotated[int, typer.Option(min=1, help="Images scored at once.")] = 16,
    ratio: Annotated[float, typer.Option(min=0, max=0.999, help="Share of patches to hide.")] = 0.5,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; all take turns in each.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Milliseconds per image of choosing patches, beside PGS written down step by step from the paper."""
    from rich.console import Console

    from pgsclip.benchmarks.masker_cost import bench_maskers
    from pgsclip.cli.bench_masks import working_maskers
    from pgsclip.config.ratio import Ratio
    from pgsclip.distributed import World
    from pgsclip.masking.masker_api import parsed_masker
    from pgsclip.training.assemble import open_device

    handles = [parsed_masker(text) for text in masker] if masker else working_maskers([Ratio(ratio, ratio)])
    with Console(stderr=True).status("measuring") as status:
        costs = bench_maskers(
            handles,
            image_size=image_size,
            patch_size=patch_size,
            width=width,
            batch_size=batch_size,
            ratio=ratio,
            repeats=repeats,
            device=open_device(device, World()),
            on_progress=status.update,
        )
    wide = max(len(cost.name) for cost in costs)
    typer.echo(f"{'masker':{wide}}  ms per image  of straightforward  floor ms")
    for cost in costs:
        floor = "" if cost.floor_milliseconds is None else f"{cost.floor_milliseconds:8.3f}"
        typer.echo(f"{cost.name:{wide}}  {cost.milliseconds:12.3f}  {cost.ratio:18.3f}  {floor}".rstrip())
    if json_file:
        write_figures(json_file, costs)


@bench.command("loss")
def loss(
    batch: Annotated[list[int] | None, typer.Option(min=2, help="Repeatable; 4096 to 32768 when not given.")] = None,
    width: Annotated[int, typer.Option(min=1, help="Of the features.")] = 512,
    block: Annotated[int, typer.Option(min=1, help="Logits computed at once.")] = LOGITS_PER_CHUNK,
    repeats: Annotated[int, typer.Option(min=1, help="Processes for each figure; the median counts.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Seconds and peak memory of the contrastive losses in blocks, beside open_clip's."""
    import torch
    from rich.console import Console

    from pgsclip.benchmarks.loss_cost import bench_loss
    from pgsclip.models.device_speed import matrix_rate

    costs = []
    rate = matrix_rate(torch.device("cpu"), torch.float32)
    typer.echo("loss     batch   seconds  of open_clip's   peak MiB  of open_clip's  of its products")
    with Console(stderr=True).status("measuring"):
        for cost in bench_loss(batch or [4096, 8192, 16384, 32768], width=width, block=block, repeats=repeats):
            costs.append(cost)
            typer.echo(
                f"{cost.loss:6}  {cost.batch:6}  {cost.seconds:8.2f}  {_ratio(cost.seconds, cost.open_clip_seconds)}"
                f"  {cost.peak_mib:9.0f}  {_ratio(cost.peak_mib, cost.open_clip_peak_mib)}"
                f"  {(cost.seconds or 0.0) * rate / cost.products:15.1f}"
            )
    if json_file:
        write_figures(json_file, costs)


@bench.command("data")
def data(
    spec: Annotated[str, typer.Option("--data", help="As for train; drawn JPEGs of 500 pixels for generated.")] = (
        "generated"
    ),
    image_size: Annotated[int, typer.Option(min=1, help="Side of the tensors in pixels.")] = 224,
    count: Annotated[int, typer.Option(min=1, help="Images.")] = 200,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; both take turns in each.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Microseconds per image on one core, from bytes to training tensor, beside open_clip's transform."""
    from rich.console import Console

    from pgsclip.benchmarks.decode_cost import bench_data

    with Console(stderr=True).status("measuring"):
        costs = bench_data(spec, image_size=image_size, count=count, repeats=repeats)
    typer.echo("from bytes to tensor  microseconds  images/s and core  times open_clip's speed")
    for cost in costs:
        typer.echo(
            f"{cost.name:20}  {cost.microseconds:12.0f}  {cost.images_per_second:17.0f}  {cost.times_open_clip:23.2f}"
        )
    if json_file:
        write_figures(json_file, costs)


@bench.command("eval")
def evaluation(
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="[CHECKPOINT|RUN]", help="The untrained smoke model when not given.")
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="wds/NAME|generated", help="One zero-shot set in clip-benchmark's layout.")
    ] = "generated",
    eval_root: Annotated[Path, typer.Option(help="Where the set lies, as wds_NAME or NAME.")] = Path("data"),
    images: Annotated[int, typer.Option(min=1, help="How many are generated.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, help="Images encoded at once.")] = EVAL_BATCH_SIZE,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; the two take turns in each.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Seconds of a whole zero-shot evaluation, beside `clip_benchmark eval`: command against command."""
    import tempfile

    from rich.console import Console

    from pgsclip.benchmarks.eval_cost import bench_eval
    from pgsclip.evaluation.demo import MODEL, write_class_set
    from pgsclip.export.formats import find_format
    from pgsclip.models.opening import open_model, open_untrained
    from pgsclip.models.source import find_source

    with tempfile.TemporaryDirectory() as place, Console(stderr=True).status("preparing") as status:
        model = Path(place, "model")
        model.mkdir()
        opened = open_untrained(MODEL) if checkpoint is None else open_model(find_source(checkpoint))
        if opened.source.finding:
            typer.echo(opened.source.finding, err=True)
        find_format("open_clip").load()[0](opened, model)
        if dataset == "generated":
            dataset, eval_root = "wds/generated", Path(place)
            write_class_set(eval_root / "wds_generated", images)
        costs = bench_eval(model, dataset, eval_root, batch_size=batch_size, repeats=repeats, on_progress=status.update)
    typer.echo("command              seconds  of clip_benchmark's  processor seconds  of clip_benchmark's")
    for cost in costs:
        typer.echo(
            f"{cost.name:19}  {cost.seconds:7.1f}  {cost.ratio:19.3f}  {cost.cpu_seconds:17.1f}  {cost.cpu_ratio:19.3f}"
        )
    if json_file:
        write_figures(json_file, costs)


def _ratio(ours: float | None, theirs: float | None) -> str:
    if ours is None or theirs is None:
        return "  does not fit"
    return f"{ours / max(theirs, 1e-9):14.3f}"
