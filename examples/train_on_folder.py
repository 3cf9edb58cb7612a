"""Train on a folder of images, each with its caption beside it.

    python examples/train_on_folder.py               # on 240 generated pictures, half a minute
    python examples/train_on_folder.py photos/       # on your own: the caption of photos/cat.jpg is in photos/cat.txt

The same from a shell is

    pgsclip train --recipe smoke --data photos/ --masker pgs --ratio 0.5 --steps 40 --out runs/example-folder

For your own pictures take a real model in the place of the tiny one (`--recipe clipart`, or
`--set model.name=ViT-B-16`) and as many steps as you have patience for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import pgsclip
from pgsclip.data.generated import HELD_OUT, TRAINING, scene


def write_pictures(folder: Path, count: int, stream: str = TRAINING) -> Path:
    """`folder/0000.png` with its caption in `folder/0000.txt`, and so on: coloured shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        drawn = scene(stream, number)
        Image.fromarray(drawn.image).save(folder / f"{number:04}.png")
        (folder / f"{number:04}.txt").write_text(drawn.caption, encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", help="your images; generated ones when not given")
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    run = Path("runs/example-folder")
    folder = given.folder or write_pictures(run / "pictures", 240)
    unseen = write_pictures(run / "unseen", 96, HELD_OUT)  # yours: pairs that are not trained on
    done = pgsclip.train(
        "smoke",
        {
            "data.spec": str(folder),
            "data.samples": None,  # counted
            "data.batch_size": 32,
            "data.workers": 0,  # small pictures; leave it out for photographs
            "evaluate.data": str(unseen),
            "masker.name": "pgs",
            "masker.ratio": 0.5,
            "optim.steps": given.steps,
            "log.every_steps": 5,
        },
        out=run / "run",
        resume="auto",  # a second start goes on instead of refusing the folder
    )
    print("\n".join(done.findings))
    print(f"weights: {done.checkpoint}/open_clip_model.safetensors")


if __name__ == "__main__":
    main()
