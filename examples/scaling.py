"""How long a step takes on 1 to 1,024 GPUs, on paper, and what breaks first.

    python examples/scaling.py            # the tables of docs/benchmarks/scaling.md
    python examples/scaling.py --check    # the same formulas against two processes of this machine

The formulas are in docs/benchmarks/scaling.md. Put your own machine and data in at `H100` and `CC12M`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
import torch.multiprocessing as processes


@dataclass(frozen=True)
class Machine:
    """One GPU and its share of the machine that it is in."""

    rate: float
    """Floating-point operations a second that a step reaches: peak times utilisation."""
    inside: float
    """Bytes a second that a GPU sends to its neighbours in the machine."""
    between: float
    """Bytes a second that a GPU sends to other machines."""
    cores: float
    """Of the CPU, for one GPU."""
    storage: float
    """Bytes a second that the machine reads, for one GPU."""
    gpus: int = 8
    delay: float = 10e-6
    """Seconds that a collective takes for each machine, however little it sends."""


@dataclass(frozen=True)
class Work:
    """One pair, and the model."""

    operations: float
    """Forward and backward of a pair."""
    parameters: int
    width: int
    """Of the features."""
    decode: float
    """Seconds on one core from bytes to tensor."""
    size: float
    """Bytes in the shard."""


@dataclass(frozen=True)
class Step:
    """Seconds of the parts; those of the GPU follow each other, the data comes beside them."""

    towers: float
    loss: float
    gather: float
    reduce: float
    decode: float
    read: float

    @property
    def seconds(self) -> float:
        return max(self.towers + self.loss + self.gather + self.reduce, self.decode, self.read)

    @property
    def limit(self) -> str:
        """The part that costs most."""
        parts = {name: getattr(self, name) for name in ("towers", "loss", "gather", "reduce", "decode", "read")}
        beside = max(self.decode, self.read)
        if beside < self.seconds:
            parts = {name: value for name, value in parts.items() if name not in ("decode", "read")}
        return max(parts, key=lambda name: parts[name])


def step_of(work: Work, machine: Machine, gpus: int, batch: int) -> Step:
    """A step of `batch` pairs on each of `gpus` GPUs, with ZeRO 1 and the loss of each GPU's own rows."""
    machines = -(-gpus // machine.gpus)
    speed = machine.inside if machines == 1 else machine.between
    delay = machine.delay * machines if gpus > 1 else 0.0
    towers = batch * work.operations / machine.rate
    loss = 12 * batch * (batch * gpus) * work.width / machine.rate  # two matrices, each forward once and backward twice
    features = 2 * (gpus - 1) * batch * work.width * 4  # images and texts of all others, float32
    gather = 2 * (features / speed + delay)  # and their gradients back
    gradients = 2 * (gpus - 1) / gpus * 4 * work.parameters / speed + delay  # scattered sums, gathered weights
    hidden = towers / 3  # under the second half of the backward pass, which is two thirds of the step
    return Step(
        towers=towers,
        loss=loss,
        gather=gather if gpus > 1 else 0.0,
        reduce=max(0.0, gradients - hidden) if gpus > 1 else 0.0,
        decode=batch * work.decode / machine.cores,
        read=batch * work.size / machine.storage,
    )


H100 = Machine(rate=0.3 * 989e12, inside=360e9, between=45e9, cores=14, storage=1e9)
"""An eighth of a DGX H100: bf16 without sparsity at 30 %, which a step was measured to reach
(docs/benchmarks/step.md), 900 GB/s of NVLink both ways and 400 Gb/s of InfiniBand at
80 to 90 %, 112 cores, 8 GB/s of storage (NVIDIA's data sheets; these shares are assumptions)."""
CC12M = Work(operations=52.9e9, parameters=149_620_737, width=512, decode=3.1e-3, size=84e3)
"""ViT-B/16, half of the patches, 20 tokens (`--dry-run`); JPEGs of 500 px (docs/benchmarks/data.md), 84 kB each."""
SMALL_IMAGES = replace(CC12M, decode=2.1e-3, size=25e3)
"""The same after `pgsclip data make --side 256`."""
READY = replace(CC12M, decode=0.0, size=25e3)
"""The same with as many cores as it takes."""
COUNTS = (1, 8, 16, 64, 256, 1024)


def table(work: Work, machine: Machine, pairs: Callable[[int], int]) -> list[str]:
    """Markdown rows for each count of GPUs; `pairs` says how many each of them has."""
    rows = [
        "| GPUs | pairs each | step | most | of linear | pairs/s | towers | loss | gather | reduce | decode | read |",
        "|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    alone = 0.0
    for gpus in COUNTS:
        batch = pairs(gpus)
        step = step_of(work, machine, gpus, batch)
        rate = gpus * batch / step.seconds
        alone = alone or rate
        parts = (step.towers, step.loss, step.gather, step.reduce, step.decode, step.read)
        milliseconds = " | ".join(f"{1000 * part:.1f}" for part in parts)
        share = f"{rate / gpus / alone:.0%}"
        whole = f"{1000 * step.seconds:.1f} | {step.limit} | {share} | {rate:,.0f}"
        rows.append(f"| {gpus:,} | {batch} | {whole} | {milliseconds} |")
    return rows


def check() -> list[str]:
    """Two processes of one thread: their step as put together from its parts, and as it is."""
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(_measure, args=(folder,), nprocs=2)
        alone, reduce, gather, together = map(float, Path(folder, "0").read_text().split())
    return [
        f"a step of each by itself, both at once  {1000 * alone:7.1f} ms",
        f"sum of the gradients                    {1000 * reduce:7.1f} ms",
        f"features there and back                 {1000 * gather:7.1f} ms",
        f"so together                             {1000 * (alone + reduce + gather):7.1f} ms",
        f"measured together                       {1000 * together:7.1f} ms",
    ]


def _measure(rank: int, folder: str, batch: int = 16, steps: int = 9) -> None:
    from pgsclip.config.ratio import Ratio
    from pgsclip.config.schema import MaskerConfig, ModelConfig, RunConfig
    from pgsclip.distributed import World
    from pgsclip.seeding import make_step_generator
    from pgsclip.training.assemble import build_engine, build_task
    from pgsclip.training.features import StepContext

    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank))
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    config = RunConfig(
        model=ModelConfig(name="pgsclip-clipart"), masker=MaskerConfig(name="pgs", ratio=Ratio(0.5, 0.5))
    )
    device = torch.device("cpu")

    def stepping(world: World) -> Callable[[], object]:
        built, task = build_task(config, world)
        engine = build_engine(task, "torch", config.engine, config.optim, world, device, batch * world.size)
        side, _ = built.image_tower.image_size
        images, texts = torch.randn(batch, 3, side, side), torch.randint(1, 400, (batch, built.context_length))
        lengths = torch.full((batch,), built.context_length)

        def step() -> None:
            loss, _ = engine.forward(images, texts, lengths, StepContext(0.5, make_step_generator(0, rank, 0, device)))
            engine.backward(loss)
            engine.step(1e-4)

        step.weights = [p.detach().clone() for p in task.parameters()]  # type: ignore[attr-defined]
        return step

    def seconds(work: Callable[[], object]) -> float:
        took = []
        for _ in range(steps):
            dist.barrier()
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return median(took[1:])

    single, both = stepping(World()), stepping(World(rank, 2, rank))
    flat = torch.cat([one.flatten() for one in single.weights])  # type: ignore[attr-defined]
    features = torch.randn(2 * batch, 512)
    others = [torch.empty_like(features) for _ in range(2)]
    found = [
        seconds(single),
        seconds(lambda: dist.all_reduce(flat)),
        2 * seconds(lambda: dist.all_gather(others, features)),
        seconds(both),
    ]
    Path(folder, str(rank)).write_text(" ".join(map(str, found)))
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="measure two processes of this machine")
    if parser.parse_args().check:
        print("\n".join(check()))
        return
    for title, work, pairs in (
        ("512 pairs on each GPU, JPEGs of 500 px", CC12M, lambda gpus: 512),
        ("512 pairs on each GPU, images of 256 px", SMALL_IMAGES, lambda gpus: 512),
        ("512 pairs on each GPU, cores enough", READY, lambda gpus: 512),
        ("32,768 pairs in all from 64 GPUs on, cores enough", READY, lambda gpus: min(512, 32768 // gpus)),
    ):
        print("\n".join(["", title, "", *table(work, H100, pairs)]))


if __name__ == "__main__":
    main()
