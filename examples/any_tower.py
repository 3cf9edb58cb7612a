"""A masker on three image towers of other libraries, each in three lines: timm's, open_clip's and transformers'.

    python examples/any_tower.py

In training mode the tower sees what the masker keeps; in evaluation mode it sees everything, and its features are the
plain model's. `masked.parameters()` are the tower's own, and `vit.state_dict()` is saved as if nobody had been there.
"""

from __future__ import annotations

import open_clip
import timm
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel

import pgsclip
from pgsclip.data.generated import TRAINING, classes, scene

STEPS, BATCH = 10, 32


def timm_vit() -> list[float]:
    """Train a classifier on visible patches and return its losses."""
    vit = timm.create_model("vit_tiny_patch16_224", img_size=96, depth=2, num_classes=len(classes()))
    masked = pgsclip.masked(vit, "pgs", ratio="0.3:0.5")  # each image keeps as many patches as it needs
    optimizer = torch.optim.AdamW(masked.parameters(), lr=1e-3)
    losses = []
    for step in range(STEPS):
        images, labels = batch(step)
        loss = F.cross_entropy(masked(images, progress=step / STEPS), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        print(f"timm: step {step + 1:2}  loss {losses[-1]:.3f}  {masked.kept:.0%} of the patches")
    return losses


def open_clip_vit() -> Tensor:
    """Features of half of the patches."""
    model = open_clip.CLIP(64, {"image_size": 96, "width": 64, "layers": 2, "head_width": 32}, {"layers": 1})
    masked = pgsclip.masked(model.visual, "pgs", ratio=0.5)
    features: Tensor = masked(batch(0)[0])
    print(f"open_clip: features {tuple(features.shape)} of {masked.kept:.0%} of the patches")
    return features


def clip_vision_model() -> Tensor:
    """Its `pooler_output` of half of the patches; `from_pretrained` in the place of a small model of our own."""
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionModel(CLIPVisionConfig(image_size=96, patch_size=16, **size))
    masked = pgsclip.masked(vision, "pgs", ratio=0.5)
    features: Tensor = masked(batch(0)[0])
    print(f"transformers: features {tuple(features.shape)} of {masked.kept:.0%} of the patches")
    return features


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Generated scenes, (32, 3, 96, 96), with the numbers of their classes."""
    scenes = [scene(TRAINING, step * BATCH + number, side=96) for number in range(BATCH)]
    images = torch.stack([torch.from_numpy(one.image) for one in scenes]).permute(0, 3, 1, 2) / 127.5 - 1
    return images, torch.tensor([one.label for one in scenes])


if __name__ == "__main__":
    torch.manual_seed(0)
    timm_vit()
    open_clip_vit()
    clip_vision_model()
