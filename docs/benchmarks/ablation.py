"""What each speed-up of a training step is worth: the step without it, over the step with all of them.

python docs/benchmarks/ablation.py --batch-size 16
python docs/benchmarks/ablation.py --batch-size 1024 --precision bf16 --repeats 12     on a GPU
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from unittest.mock import patch

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn

from pgsclip.benchmarks.step_pairs import StepBatch, draw_pairs
from pgsclip.benchmarks.timing import time_in_turns
from pgsclip.bucketing import Bucket
from pgsclip.config.ratio import Ratio
from pgsclip.config.schema import MaskerConfig, ModelConfig, RunConfig
from pgsclip.distributed import World
from pgsclip.models.build import build_model
from pgsclip.models.device_speed import wait_for
from pgsclip.models.towers.attention import PackedAttention
from pgsclip.models.towers.patch_embedding import PatchEmbedding
from pgsclip.seeding import make_step_generator
from pgsclip.training.assemble import build_task
from pgsclip.training.engines.base import autocast_dtype, pick_device
from pgsclip.training.features import StepContext
from pgsclip.training.task import Task


def gathered(patches: Tensor, rows: Tensor, keep: Tensor) -> Tensor:
    """Patches by `gather`, whose backward pass adds up."""
    return patches[rows].gather(1, keep.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))


def equal_buckets(lengths: Tensor, max_passes: int, *, exactly: bool = False) -> list[Bucket]:
    """Buckets of equally many rows."""
    ordered, order = torch.sort(lengths, stable=True)
    parts = zip(order.tensor_split(max_passes), ordered.tensor_split(max_passes), strict=True)
    return [Bucket(rows, int(own[-1])) for rows, own in parts]


def one_bucket(lengths: Tensor, max_passes: int, *, exactly: bool = False) -> list[Bucket]:
    """All captions as long as the longest."""
    return equal_buckets(lengths, 1)


def waiting(rows: list[Tensor], device: torch.device) -> list[Tensor]:
    """Copies that wait for the GPU."""
    return [bucket.to(device) for bucket in rows]


def products(left: Tensor, right: Tensor) -> Tensor:
    """Similarity of 16-bit embeddings in float32 throughout."""
    with torch.autocast(right.device.type, enabled=False):
        return left.float() @ right.float().mT


def with_class(task: Task, ours: type[nn.Module], theirs: type[nn.Module]) -> None:
    """Give submodules their first class back."""
    for module in [*task.image_tower.tower.modules(), *task.text_tower.tower.modules()]:
        if type(module) is ours:
            module.__class__ = theirs


def uncut(task: Task) -> None:
    """Captions at the full length of the context."""
    task.text_tower.can_cut = False


class Whole(ResidualAttentionBlock):
    """A block that is not known to be plain."""


def whole_last(task: Task) -> None:
    """The last block for all tokens."""
    for tower in (task.image_tower.tower, task.text_tower.tower):
        tower.transformer.resblocks[-1].__class__ = Whole


Change = Callable[[Task], None]
WITHOUT: dict[str, Change | tuple[str, Callable[..., object]]] = {
    "views of the projection (torch's attention)": partial(
        with_class, ours=PackedAttention, theirs=nn.MultiheadAttention
    ),
    "patch embedding as a product (a convolution)": partial(with_class, ours=PatchEmbedding, theirs=nn.Conv2d),
    "the last block for one token (for all)": whole_last,
    "patches by place (gather)": ("pgsclip.models.towers.image_tower.take_patches", gathered),
    "cut captions (all of 77 tokens)": uncut,
    "buckets (all as long as the longest)": ("pgsclip.training.task.cut_into_buckets", one_bucket),
    "tight buckets (of equal size)": ("pgsclip.training.task.cut_into_buckets", equal_buckets),
    "copies that do not wait": ("pgsclip.models.towers.text_tower._on_device", waiting),
    "products of 16 bits (float32)": ("pgsclip.masking.similarity._products", products),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    device = pick_device("auto", World())
    dtype = autocast_dtype(given.precision, device)
    built = build_model(ModelConfig(name=given.model), seed=0, loss_has_bias=False)
    torch.manual_seed(0)
    pairs = draw_pairs(built, given.batch_size, 20, device)
    rounds = iter(range(10**9))

    def step(task: Task, optimizer: torch.optim.Optimizer, batch: StepBatch) -> None:
        context = StepContext(0.5, make_step_generator(0, 0, next(rounds), device))
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, _ = task(batch.images, batch.texts, batch.lengths, context)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def made(change: Change | None = None) -> Callable[[], None]:
        masker = MaskerConfig(name="pgs", ratio=Ratio(0.5, 0.5))
        _, task = build_task(RunConfig(model=ModelConfig(name=given.model), masker=masker), World())
        task.to(device).train()
        if change is not None:
            change(task)
        return partial(step, task, torch.optim.AdamW(task.parameters(), fused=True), pairs)

    def patched(run: Callable[[], None], place: str, other: Callable[..., object]) -> None:
        with patch(place, other):
            run()

    everything = made()
    ways: dict[str, Callable[[], None]] = {"everything": everything}
    for name, change in WITHOUT.items():
        ways[name] = partial(patched, everything, *change) if isinstance(change, tuple) else made(change)
    times = time_in_turns(ways, given.repeats, wait=lambda: wait_for(device))
    whole = median(times["everything"])
    print(f"pgs 0.5, {given.batch_size} pairs, {given.precision} on {device}: {1e3 * whole:.1f} ms\n")
    print("| without | of the step |\n|---|---:|")
    for name in WITHOUT:
        print(f"| {name} | {median(times[name]) / whole:.3f} |")


if __name__ == "__main__":
    main()
