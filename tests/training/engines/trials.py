"""Trials of the engines, each in processes of its own: DeepSpeed changes the process that it runs in.

Run as a script with a folder that holds `trials.json`: imports once, then forks the ranks of each trial in turn. What
rank 0 found lies in `<trial>.pt`, or in `<trial>.error` what went wrong.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.timm_model import TimmModel
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.resolve import resolve
from pgsclip.config.schema import EngineConfig, OptimConfig, RunConfig
from pgsclip.errors import PgsclipError
from pgsclip.losses.contrastive import ClipLoss, SigLipLoss
from pgsclip.masking.build import build_masker
from pgsclip.models.build import BuiltModel, adapt
from pgsclip.models.text_tower import TextTower
from pgsclip.training.distributed import World, barrier, join, leave
from pgsclip.training.engines.base import Engine, build_engine
from pgsclip.training.seeding import step_generator
from pgsclip.training.task import Task, View

STEPS, SAVED_AFTER, BATCH, CAP = 4, 2, 8, 5.0
VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}
# A large eps makes AdamW feel the scale of a gradient: else a wrong clipping or averaging would cancel.
OPTIM = {"lr": 1e-2, "weight_decay": 0.2, "eps": 0.05}


@dataclasses.dataclass(frozen=True)
class Trial:
    name: str
    world: int = 1
    engine: str = "torch"
    stage: int = 0
    clip: float | None = None
    model: str = "native"
    precision: str = "fp32"
    act: str = "train"


def make_model(kind: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    scale = {"init_logit_scale": math.log(8), "nonscalar_logit_scale": True}  # above the cap from the start
    if kind == "native":
        return open_clip.CLIP(16, VISION, TEXT, **scale)
    model = open_clip.CustomTextCLIP(16, VISION, TEXT, init_logit_bias=-10.0, **scale)
    model.visual = TimmModel("test_vit", embed_dim=16, image_size=32, pool="token")
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 2, "num_classes": 0}
    model.visual.trunk = TimmVisionTransformer(**shape, global_pool="map", class_token=False, reg_tokens=2)
    model.register_buffer("kept_buffer", torch.arange(3))
    return model


def make_task(trial: Trial, world: World, config: RunConfig, seed: int = 0) -> Task:
    model = make_model(trial.model, seed)
    size = {"tokenizer": lambda texts: torch.zeros(len(texts), 12), "context_length": 12, "vocab_size": 64}
    colour = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    built = BuiltModel("tiny", model, adapt(model.visual), TextTower(model), **size, **colour)
    loss = ClipLoss if trial.model == "native" else SigLipLoss
    return Task(built, build_masker("random"), loss(rank=world.rank, world_size=world.size, block=2**24), config)


def make_engine(trial: Trial, world: World, seed: int = 0) -> Engine:
    config = resolve(None, {"masker.name": "random", "masker.ratio": 0.5, "loss.max_scale": CAP})
    engine = EngineConfig(name=trial.engine, zero_stage=trial.stage, precision=trial.precision)
    optim = OptimConfig(**OPTIM, clip_grad_norm=trial.clip)
    task = make_task(trial, world, config, seed)
    return build_engine(task, trial.engine, engine, optim, world, torch.device("cpu"), BATCH)


def batch_of(step: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    lengths = torch.randint(2, 13, (BATCH,), generator=generator)
    texts = torch.randint(1, 63, (BATCH, 12), generator=generator)
    for row, length in zip(texts, lengths.tolist(), strict=True):
        row[length - 1] = 63
        row[length:] = 0
    return torch.randn(BATCH, 3, 32, 32, generator=generator), texts, lengths


def rate(step: int) -> float:
    return OPTIM["lr"] * (1 - step / 10)


def run_steps(engine: Engine, world: World, steps: range) -> list[Tensor]:
    """Losses, averaged over ranks."""
    mine = slice(world.rank * BATCH // world.size, (world.rank + 1) * BATCH // world.size)
    losses = []
    for step in steps:
        images, texts, lengths = (part[mine] for part in batch_of(step))
        view = View(step / STEPS, step_generator(0, world.rank, step, engine.device))
        loss, report = engine.forward(images, texts, lengths, view)
        engine.backward(loss)
        engine.step(rate(step))
        assert report.kept == 0.5
        total = loss.detach().clone()
        if world.size > 1:
            torch.distributed.all_reduce(total)
        losses.append(total / world.size)
    return losses


def train(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """Four steps; then the last two again, in a new engine that starts from the checkpoint between."""
    engine = make_engine(trial, world)
    saved = folder / f"{trial.name}-saved"
    saved.mkdir(exist_ok=True)
    before = {name: tensor.clone() for name, tensor in engine.weights().items()}
    losses = run_steps(engine, world, range(SAVED_AFTER))
    engine.save(saved)
    barrier()
    losses += run_steps(engine, world, range(SAVED_AFTER, STEPS))
    found = {"losses": torch.stack(losses), "before": before, "weights": engine.weights()}
    images, texts, _ = batch_of(0)
    found["features"] = engine.features(images, texts)
    found["parts"] = (engine.features(images, None)[0], engine.features(None, texts)[1])
    again = make_engine(trial, world, seed=1)
    again.load(saved)
    found["resumed losses"] = torch.stack(run_steps(again, world, range(SAVED_AFTER, STEPS)))
    found["resumed weights"] = again.weights()
    found["linear is torch's"] = F.linear is LINEAR
    found["deepspeed"] = "deepspeed.runtime.engine" in sys.modules
    return found


def refuse(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """What `load` says to another engine's checkpoint, another stage's, a damaged one and one with a payload."""
    said = {}
    for case in ("other engine", "other stage", "missing", "damaged", "payload"):
        saved = folder / f"{trial.name}-{case}"
        saved.mkdir()
        written_by = trial
        if case == "other engine":
            written_by = dataclasses.replace(trial, engine="torch" if trial.engine == "deepspeed" else "deepspeed")
        if case == "other stage":
            written_by = dataclasses.replace(trial, stage=0 if trial.stage else 2)
        make_engine(written_by, world).save(saved)
        for file in sorted(saved.rglob("*.pt")):
            content = file.read_bytes()
            if case == "missing":
                file.unlink()
            if case == "damaged":
                file.write_bytes(content[: len(content) // 2])
            if case == "payload":
                torch.save({**torch.load(file, weights_only=False), "extra": Payload(saved / "ran")}, file)
        try:
            make_engine(trial, world).load(saved)
            said[case] = "loaded"
        except PgsclipError as error:
            said[case] = f"{type(error).__name__}: {error}"
        except Exception as error:
            said[case] = f"no sentence: {type(error).__name__}: {error}"
        said[f"{case} ran"] = (saved / "ran").exists()
    return said


class Payload:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class KeepThese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.keep = torch.zeros(0)

    def forward(self, tokens: Tensor) -> Tensor:
        rows = [torch.cat([row[:1], row[1:][keep]]) for row, keep in zip(tokens, self.keep, strict=True)]
        return torch.stack(rows)


def reference(trial: Trial, world: int) -> dict[str, Any]:
    """The same steps with none of our code but the drawing of masks: open_clip's forward and loss, torch's AdamW.

    One process with the whole batch, in float64.
    """
    model = make_model("native").double()
    model.visual.patch_dropout = KeepThese()
    plain = [p for name, p in model.named_parameters() if p.ndim < 2]
    matrices = [p for name, p in model.named_parameters() if p.ndim >= 2]
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": matrices, "weight_decay": OPTIM["weight_decay"]}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.98), eps=OPTIM["eps"])
    losses, norms = [], []
    for step in range(STEPS):
        images, texts, _ = batch_of(step)
        model.visual.patch_dropout.keep = torch.cat([masks_of(step, rank, world) for rank in range(world)])
        temperature = model.logit_scale.detach().exp().clamp(max=CAP).requires_grad_()
        features = F.normalize(model.encode_image(images.double()), dim=-1), model.encode_text(texts, normalize=True)
        loss = open_clip.ClipLoss()(*features, temperature)
        loss.backward()
        pull = temperature.grad * temperature.detach()
        model.logit_scale.grad = torch.where((model.logit_scale > math.log(CAP)) & (pull < 0), 0, pull)
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in model.parameters()]))
        if trial.clip is not None:
            for parameter in model.parameters():
                parameter.grad *= min(1.0, trial.clip / norm.item())
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
        norms.append(norm)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"losses": torch.stack(losses), "weights": weights, "norms": torch.stack(norms)}


def masks_of(step: int, rank: int, world: int) -> Tensor:
    """As `random` draws them: the best eight of sixteen scores; a second draw would break ties, and there are none."""
    scores = torch.rand(BATCH // world, 16, generator=step_generator(0, rank, step, torch.device("cpu")))
    return scores.topk(8, dim=1).indices


ACTS = {"train": train, "refuse": refuse}
LINEAR = F.linear


def be_rank(trial: Trial, rank: int, port: int, folder: Path) -> None:
    """Does not return."""
    if trial.world > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(trial.world), LOCAL_RANK=str(rank))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    code = 0
    try:
        world = World(rank, trial.world, rank)
        join(world, torch.device("cpu"))
        found = ACTS[trial.act](trial, world, folder)
        if rank == 0:
            if trial.model == "native" and trial.act == "train":
                found["reference"] = reference(trial, trial.world)
            torch.save(found, folder / f"{trial.name}.pt")
        leave()
    except BaseException:
        (folder / f"{trial.name}.error").write_text(traceback.format_exc())
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def import_deepspeed() -> None:
    import deepspeed  # noqa: F401
    from deepspeed.runtime.zero import stage3, stage_1_and_2  # noqa: F401


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for given in json.loads((folder / "trials.json").read_text()):
        trial, port = Trial(**given), free_port()
        if trial.engine == "deepspeed":
            import_deepspeed()  # before the fork: once for all, and after the trials of torch that want it absent
        ranks = []
        for rank in range(trial.world):
            child = os.fork()
            if child == 0:
                be_rank(trial, rank, port, folder)
            ranks.append(child)
        for child in ranks:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
