"""A masker in somebody's own training loop: an open_clip model that sees half of the patches.

    python examples/own_loop.py

Nothing of pgsclip's training is used: the masker says which patches to keep, and open_clip's `patch_dropout`, which
stands where patches can be dropped, keeps exactly these.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from torch import Tensor, nn

import pgsclip
from pgsclip.data.generated import TRAINING, scene

STEPS, BATCH = 12, 32


class KeepChosen(nn.Module):
    """Takes the place of `visual.patch_dropout`: keeps the class token and the patches of `chosen` (B, K)."""

    chosen: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        index = (self.chosen + 1).unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        return torch.cat([tokens[:, :1], tokens.gather(1, index)], dim=1)


def main() -> list[float]:
    """Train a little and return the losses."""
    torch.manual_seed(0)
    open_clip.add_model_config(Path(pgsclip.__file__).parent / "models" / "configs")
    model = open_clip.create_model("pgsclip-smoke")
    tokenize = open_clip.get_tokenizer("pgsclip-smoke")
    model.visual.patch_dropout = keep_chosen = KeepChosen()
    masker = pgsclip.masker("pgs")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = open_clip.ClipLoss()
    losses = []
    for step in range(STEPS):
        scenes = [scene(TRAINING, step * BATCH + i, side=64) for i in range(BATCH)]
        images = torch.stack([torch.from_numpy(s.image) for s in scenes]).permute(0, 3, 1, 2) / 127.5 - 1
        keep_chosen.chosen = masker.keep(images, patch_size=8, ratio=0.5, seed=step)
        loss = loss_of(*model(images, tokenize([s.caption for s in scenes])))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        print(f"step {step + 1:2}  loss {losses[-1]:.3f}  {keep_chosen.chosen.shape[1]} of 64 patches")
    return losses


if __name__ == "__main__":
    main()
