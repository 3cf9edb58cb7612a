"""Pack pictures into shards and train on them, with unseen pairs to evaluate on.

    python examples/train_on_shards.py               # on 240 generated pictures, half a minute
    python examples/train_on_shards.py pairs.csv     # on your own: a folder, a CSV or TSV, a dataset of Hugging Face

The same from a shell is

    pgsclip data make photos/ runs/example-shards/shards --side 80 --per-shard 40 --held-out 40 --shuffle
    pgsclip train --recipe smoke --data 'runs/example-shards/shards/train-*.tar' --masker pgs --ratio 0.3:0.5 --steps 40

For your own pictures take `--side 256`, a thousand pairs a shard (what is taken when nothing is said) and a recipe of
your size. Shards are WebDataset's, so those that OpenCLIP or img2dataset wrote need no packing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from train_on_folder import write_pictures

import pgsclip
from pgsclip.data.make import make_shards
from pgsclip.data.shard_writer import ShardOptions


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", help="your pairs; generated ones when not given")
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    work = Path("runs/example-shards")
    source = given.source or write_pictures(work / "pictures", 240)
    shards = work / "shards"
    made = make_shards(str(source), shards, ShardOptions(side=80, per_shard=40, held_out=40, shuffle=True), jobs=1)
    print(f"{made.pairs} pairs in {made.shards} shards, {sum(made.refused.values())} left out")
    done = pgsclip.train(
        "smoke",
        {
            "data.spec": f"{shards}/train-*.tar",  # val-*.tar beside them is found, and evaluated on
            "data.samples": None,  # the index beside the shards says it
            "data.batch_size": 32,
            "data.workers": 0,  # small pictures; leave it out for photographs
            "masker.name": "pgs",
            "masker.ratio": "0.3:0.5",  # each image hides as many patches as look like its background
            "optim.steps": given.steps,
            "log.every_steps": 5,
        },
        out=work / "run",
        resume="auto",  # a second start goes on instead of refusing the folder
    )
    print("\n".join(done.findings))
    print(f"weights: {done.checkpoint}/open_clip_model.safetensors")


if __name__ == "__main__":
    main()
