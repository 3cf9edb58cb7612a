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
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.timm_model import TimmModel
from plugged import Agreement, Follower
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.params import PluginParams
from pgsclip.config.resolve import resolve
from pgsclip.config.schema import EngineConfig, OptimConfig, RunConfig
from pgsclip.distributed import World
from pgsclip.losses.auxiliary import Sizes
from pgsclip.losses.contrastive import ClipLoss, SigLipLoss
from pgsclip.masking.registry import build_masker
from pgsclip.models.build import BuiltModel
from pgsclip.models.freezing import freeze
from pgsclip.models.layers import find_layers
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.text_tower import TextTower
from pgsclip.models.weights import load_weights
from pgsclip.process_group import join, leave
from pgsclip.seeding import make_step_generator
from pgsclip.training.accumulation import Part, backward
from pgsclip.training.assemble import build_engine
from pgsclip.training.engines import deepspeed_engine
from pgsclip.training.engines.base import Engine
from pgsclip.training.features import StepContext
from pgsclip.training.saved.checkpoint import CheckpointFolder, StoredCheckpoint, read_checkpoint
from pgsclip.training.saved.rank_state import RankState
from pgsclip.training.task import Task

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
    loss: str = "clip"
    parts: int = 1
    masker: str = "random"
    act: str = "train"
    freeze: tuple[str, ...] = ()
    norms: bool = False
    decay: float = 1.0
    plugged: bool = False
    """With a masker and an auxiliary loss that follow the weights."""


def make_model(kind: str, seed: int = 0, loss: str = "clip") -> Any:
    torch.manual_seed(seed)
    scale = {"init_logit_scale": math.log(8), "nonscalar_logit_scale": True}  # above the cap from the start
    if kind == "native":
        return open_clip.CLIP(16, VISION, TEXT, **scale, init_logit_bias=-2.0 if loss == "siglip" else None)
    model = open_clip.CustomTextCLIP(16, VISION, TEXT, init_logit_bias=-10.0, **scale)
    model.visual = TimmModel("test_vit", embed_dim=16, image_size=32, pool="token")
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 2, "num_classes": 0}
    model.visual.trunk = TimmVisionTransformer(**shape, global_pool="map", class_token=False, reg_tokens=2)
    model.register_buffer("kept_buffer", torch.arange(3))
    return model


def make_task(trial: Trial, world: World, config: RunConfig, seed: int = 0) -> Task:
    model = make_model(trial.model, seed, trial.loss)
    size = {"tokenizer": lambda texts: torch.zeros(len(texts), 12), "context_length": 12, "vocab_size": 64}
    colour = {"preprocess": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}
    image, text = adapt(model.visual), TextTower(model)
    layers = find_layers(model, image.blocks, text.blocks)
    frozen = freeze(model, layers, trial.freeze, norms=trial.norms)
    built = BuiltModel("tiny", model, image, text, **size, **colour, layers=layers, frozen=frozen)
    kind = SigLipLoss if trial.model == "timm" or trial.loss == "siglip" else ClipLoss
    loss = kind(rank=world.rank, world_size=world.size, logits_per_chunk=2**24)
    if not trial.plugged:
        return Task(built, build_masker(trial.masker), loss, config)
    torch.manual_seed(seed)
    term = Agreement(PluginParams(), Sizes(built.image_tower.width, 64, 1))
    return Task(built, Follower(), loss, config, auxiliary=[("agreement", term)])


def make_engine(trial: Trial, world: World, stored: StoredCheckpoint | None = None) -> Engine:
    """Fresh, or as a checkpoint left it: then from other weights, so that what was not restored would show."""
    config = resolve(None, {"masker.name": trial.masker, "masker.ratio": 0.5, "loss.max_scale": CAP})
    engine = EngineConfig(name=trial.engine, zero_stage=trial.stage, precision=trial.precision)
    optim = OptimConfig(**OPTIM, clip_grad_norm=trial.clip, layer_decay=trial.decay)
    task = make_task(trial, world, config, seed=0 if stored is None else 1)
    if stored is not None:
        load_weights(task.model, stored.weights)
        task.start_masker()
        task.load_states(stored.states)
    built = build_engine(task, trial.engine, engine, optim, world, torch.device("cpu"), BATCH)
    if stored is not None:
        built.restore(stored.optimizer)
    return built


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


def parts_of(step: int, world: World, count: int) -> list[Part]:
    """This rank's share of a step's batch, cut into `count` parts."""

    def context(part: int) -> StepContext:
        return StepContext(step / STEPS, make_step_generator(0, world.rank, step, torch.device("cpu"), part))

    mine = slice(world.rank * BATCH // world.size, (world.rank + 1) * BATCH // world.size)
    shares = zip(*(tensor[mine].chunk(count) for tensor in batch_of(step)), strict=True)
    return [Part(*share, partial(context, part)) for part, share in enumerate(shares)]


def run_steps(engine: Engine, world: World, steps: range, parts: int = 1) -> list[Tensor]:
    """Losses, averaged over ranks."""
    losses = []
    for step in steps:
        loss, report = backward(engine, parts_of(step, world, parts))
        assert not engine.step(rate(step))
        engine.observe((step + 1) / STEPS)
        assert report.patches_kept in (0.5, 1.0)
        total = loss.detach().clone()
        if world.size > 1:
            torch.distributed.all_reduce(total)
        losses.append(total / world.size)
    return losses


def train(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """Four steps; then the last two again, in a new engine that starts from the checkpoint between."""
    engine = make_engine(trial, world)
    before = {name: tensor.clone() for name, tensor in engine.weights().items()}
    losses = run_steps(engine, world, range(SAVED_AFTER), trial.parts)
    saved = save(trial.name, engine, world, folder)
    losses += run_steps(engine, world, range(SAVED_AFTER, STEPS), trial.parts)
    found = {"losses": torch.stack(losses), "before": before, "weights": engine.weights()}
    images, texts, _ = batch_of(0)
    found["moments"] = sorted(engine.optimizer_state().moments["exp_avg"])
    found["features"] = engine.encode(images, texts)
    found["parts"] = (engine.encode(images, None)[0], engine.encode(None, texts)[1])
    again = make_engine(trial, world, read_checkpoint(saved))
    found["resumed losses"] = torch.stack(run_steps(again, world, range(SAVED_AFTER, STEPS), trial.parts))
    found["resumed weights"] = again.weights()
    found["states"], found["resumed states"] = engine.states(), again.states()
    found["linear is torch's"] = F.linear is LINEAR
    found["deepspeed"] = "deepspeed.runtime.engine" in sys.modules
    return found


def save(name: str, engine: Engine, world: World, folder: Path) -> Path:
    return CheckpointFolder(folder / f"{name}-saved", world, keep=9).save(engine, RankState(step=SAVED_AFTER))


def hand_over(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """Go on where the trial named by `<name>-before` stopped, for one step, and save; or start."""
    name, _, number = trial.name.rpartition("-")
    first = int(number)
    stored = read_checkpoint(folder / f"{name}-{first - 1}-saved" / f"step-{SAVED_AFTER:08d}") if first else None
    engine = make_engine(trial, world, stored)
    losses = run_steps(engine, world, range(first, first + 1))
    save(trial.name, engine, world, folder)
    return {"losses": torch.stack(losses), "weights": engine.weights(), "moments": engine.optimizer_state().moments}


def measure(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """The gradient of one step, read off Adam: its first running mean is a tenth of the first gradient."""
    engine = make_engine(trial, world)
    losses = run_steps(engine, world, range(1), trial.parts)
    shares = engine.optimizer_state().moments["exp_avg"]
    found = {name: moment.double() / (1 - OptimConfig().betas[0]) for name, moment in shares.items()}
    return {"losses": torch.stack(losses), "gradients": found, "expected": expected_gradients(trial, world.size)}


def expected_gradients(trial: Trial, world: int) -> dict[str, Tensor]:
    """open_clip's forward and losses on the whole batch in one process, in float64."""
    model = make_model("native", loss=trial.loss).double()
    model.visual.patch_dropout = KeepThese()
    images, texts, _ = batch_of(0)
    rows = BATCH // world // trial.parts
    drawn = [masks_of(0, rank, rows, part) for rank in range(world) for part in range(trial.parts)]
    model.visual.patch_dropout.keep = torch.cat(drawn)
    scale = model.logit_scale.detach().exp().clamp(max=CAP).requires_grad_()
    features = F.normalize(model.encode_image(images.double()), dim=-1), model.encode_text(texts, normalize=True)
    if trial.loss == "siglip":
        open_clip.loss.SigLipLoss()(*features, scale, model.logit_bias).backward()
    else:
        open_clip.ClipLoss()(*features, scale).backward()
    gradient = scale.grad * scale.detach()
    model.logit_scale.grad = torch.where((model.logit_scale > math.log(CAP)) & (gradient < 0), 0, gradient)
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def skip(trial: Trial, world: World, folder: Path) -> dict[str, Any]:
    """A step whose gradient is not finite, between two that are; and the same two without it."""
    engine, plain = make_engine(trial, world), make_engine(trial, world)
    left_out = []
    for step in (0, 1, 2):
        parts = parts_of(step, world, trial.parts)
        if step == 1 and world.rank == world.size - 1:
            parts[0].images[0, 0, 0, 0] = torch.nan
        backward(engine, parts)
        left_out.append(engine.step(rate(step)))
    for step in (0, 2):
        backward(plain, parts_of(step, world, trial.parts))
        plain.step(rate(step))
    return {"left out": torch.stack(left_out), "weights": engine.weights(), "without": plain.weights()}


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
    groups = []
    for name, parameter in model.named_parameters():
        if is_frozen(name, trial):
            parameter.requires_grad_(False)
            continue
        decay = OPTIM["weight_decay"] if parameter.ndim >= 2 else 0.0
        share = trial.decay ** (3 - depth_of(name))
        groups.append({"params": [parameter], "weight_decay": decay, "share": share})
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.98), eps=OPTIM["eps"])
    losses, norms = [], []
    for step in range(STEPS):
        images, texts, _ = batch_of(step)
        model.visual.patch_dropout.keep = torch.cat([masks_of(step, rank, BATCH // world) for rank in range(world)])
        scale = model.logit_scale.detach().exp().clamp(max=CAP).requires_grad_()
        features = F.normalize(model.encode_image(images.double()), dim=-1), model.encode_text(texts, normalize=True)
        loss = open_clip.ClipLoss()(*features, scale)
        loss.backward()
        gradient = scale.grad * scale.detach()
        model.logit_scale.grad = torch.where((model.logit_scale > math.log(CAP)) & (gradient < 0), 0, gradient)
        trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([parameter.grad.norm() for parameter in trained]))
        if trial.clip is not None:
            for parameter in trained:
                parameter.grad *= min(1.0, trial.clip / norm.item())
        for group in optimizer.param_groups:
            group["lr"] = rate(step) * group["share"]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
        norms.append(norm)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"losses": torch.stack(losses), "weights": weights, "norms": torch.stack(norms)}


def depth_of(name: str) -> int:
    """0 before the two blocks, 3 behind them."""
    if "resblocks." in name:
        return 1 + int(name.partition("resblocks.")[2][0])
    if any(word in name for word in ("ln_post", "ln_final")):  # with the last block
        return 2
    return 0 if any(word in name for word in ("conv1", "embedding", "ln_pre")) else 3


def is_frozen(name: str, trial: Trial) -> bool:
    if name == "logit_scale" or (trial.norms and "ln_" in name):
        return False
    tower = "image" if name.startswith("visual.") else "text"
    return (
        tower in trial.freeze
        or f"{tower}:{depth_of(name)}" in trial.freeze
        or (depth_of(name) == 0 and any(part.startswith(f"{tower}:") for part in trial.freeze))
    )


def masks_of(step: int, rank: int, rows: int, part: int = 0) -> Tensor:
    """As `random` draws them: the best eight of sixteen scores; a second draw would break ties, and there are none."""
    scores = torch.rand(rows, 16, generator=make_step_generator(0, rank, step, torch.device("cpu"), part))
    return scores.topk(8, dim=1).indices


ACTS = {"train": train, "hand over": hand_over, "measure": measure, "skip": skip}
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
        if trial.stage == 3:
            split_small_parameters_too()
        found = ACTS[trial.act](trial, world, folder)
        if rank == 0:
            if trial.model == "native" and trial.act == "train" and not trial.plugged:
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


def split_small_parameters_too() -> None:
    """ZeRO-3 keeps parameters of less than 100,000 elements whole, which is all that these models have."""
    derive = deepspeed_engine.deepspeed_config

    def derive_and_split(*given: Any) -> dict[str, Any]:
        settings = derive(*given)
        settings["zero_optimization"]["stage3_param_persistence_threshold"] = 0
        return settings

    deepspeed_engine.deepspeed_config = derive_and_split


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
