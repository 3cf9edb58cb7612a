"""A masker of your own in fifteen lines, without packaging anything.

    python examples/own_masker.py

Its name is `own_masker:Colourful`, module and class, everywhere a masker is named; where the module is not beside the
script that runs, its folder is put on the path:

    PYTHONPATH=examples pgsclip viz-mask photo.jpg --masker own_masker:Colourful --masker random

To change: what `__call__` returns. Each patch of each image gets a number, and the largest are kept. `pgsclip plugins
new NAME` makes a distribution of it that others can install.
"""

from __future__ import annotations

import timm
import torch

import pgsclip
from pgsclip.data.generated import HELD_OUT, scene
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.pixels import normalise_pixels, patchify
from pgsclip.testing import check_masker


class Colourful:
    """Keeps the patches whose colours are strongest."""

    Params = MaskerParams  # it has none of its own
    chooses_ratio = False

    def __init__(self, params: MaskerParams) -> None:
        self.params = params

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        pixels = patchify(inputs.images.float(), inputs.grid).unflatten(2, (3, -1))  # (B, L, channels, pixels)
        colour = (pixels.amax(dim=2) - pixels.amin(dim=2)).mean(dim=2)
        return MaskScores(colour + 0.1 * inputs.uniform())


NAME = "own_masker:Colourful"


def main() -> dict[str, float]:
    """Return how much of known objects each masker keeps when half of the patches go."""
    check_masker(Colourful(Colourful.Params()))
    print("the contract is kept")

    scenes = [scene(HELD_OUT, number, side=96) for number in range(32)]
    images = torch.stack([normalise_pixels(one.image) for one in scenes])
    objects = torch.stack([torch.from_numpy(one.mask) for one in scenes])
    covered = patchify(objects[:, None].float(), Grid(8, 8, 12)).mean(dim=2)  # (B, L), share of each patch
    recall = {}
    for name in (NAME, "random", "pgs"):
        kept = pgsclip.masker(name).keep(images, patch_size=12, ratio=0.5)
        recall[name] = float((covered.gather(1, kept).sum(1) / covered.sum(1)).mean())
        print(f"{name:22} keeps {recall[name]:.0%} of the objects")

    vit = timm.create_model("vit_tiny_patch16_224", img_size=96, depth=2, num_classes=48)
    masked = pgsclip.masked(vit, NAME, ratio=0.5)
    print(f"a ViT of timm: logits {tuple(masked(images).shape)} of {masked.kept:.0%} of the patches")

    small = {"data.batch_size": 32, "data.workers": 0, "optim.steps": 3, "log.every_steps": 1, "evaluate.data": None}
    settings = {"masker.name": NAME, "masker.ratio": 0.5, **small}
    done = pgsclip.train("smoke", settings, out="runs/example-masker", resume="auto")
    print(f"trained {done.steps} steps with it")
    return recall


if __name__ == "__main__":
    main()
