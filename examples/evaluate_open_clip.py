"""Evaluate a model of open_clip: in memory, and from a file of weights.

    python examples/evaluate_open_clip.py

The model is small and nobody trained it, so it does what chance does: about 2 of 100 right among 48 classes. For your
own, give the model that you have in memory, a file (`ViT-B-16:weights.safetensors`), one of open_clip's pretrained
names (`ViT-B-32:openai`) or a run, and sets of your own: `datasets=["wds/flowers"], eval_root="sets"`. From a shell:

    pgsclip eval zeroshot ViT-B-32:openai --eval-root sets --datasets wds/flowers

Nothing is fetched unless `--download` says so.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

import pgsclip
from pgsclip.evaluation.evaluate import EvalReport
from pgsclip.models.own_configs import register_own_models

SHOWN = ("acc1", "acc5", "image_retrieval_recall@5", "text_retrieval_recall@5")


def main() -> tuple[EvalReport, EvalReport]:
    """Return what was found of the model in memory, and of its file."""
    torch.manual_seed(0)
    register_own_models()  # makes `pgsclip-smoke` known to open_clip; ViT-B-16 and its like need no such line
    model = open_clip.create_model("pgsclip-smoke")
    found = pgsclip.evaluate(model, "demo", families=["zeroshot", "retrieval"], workers=0)
    for result in found.results:
        figures = "  ".join(f"{name} {result.metrics[name]:.3f}" for name in SHOWN if name in result.metrics)
        print(f"{result.family:10} {result.dataset:14} {figures}")

    weights = Path("runs/example-evaluate/weights.safetensors")
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), weights)
    again = pgsclip.evaluate(f"pgsclip-smoke:{weights}", "demo", families=["zeroshot"], workers=0)
    known = {result.dataset: result.metrics for result in found.results}
    same = all(known[result.dataset] == result.metrics for result in again.results)
    print(f"from the file: {'the same figures' if same else 'other figures'}")
    return found, again


if __name__ == "__main__":
    main()
