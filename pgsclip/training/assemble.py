"""From the config of a run to the parts that it needs: device, task, engine, training stream, held-out sets."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn

from pgsclip import plugins
from pgsclip.config.fields import PluginConfig
from pgsclip.config.schema import EngineConfig, OptimConfig, RunConfig
from pgsclip.data.crops import TrainCrop
from pgsclip.data.loading import Stream, open_stream
from pgsclip.data.source import PairSource
from pgsclip.data.spec import find_held_out, open_source
from pgsclip.data.word_counts import word_counts
from pgsclip.distributed import World, barrier
from pgsclip.errors import ConfigError, ModelError, PluginError
from pgsclip.evaluation.held_out import HeldOut, held_out_sets
from pgsclip.evaluation.suite import open_suite
from pgsclip.losses.auxiliary import Sizes
from pgsclip.losses.registry import build_auxiliary, load_main_loss
from pgsclip.masking.contract import Masker
from pgsclip.masking.registry import build_masker
from pgsclip.masking.scoring import needs_model
from pgsclip.masking.selection import refuse_range
from pgsclip.masking.text.contract import TextMasker
from pgsclip.masking.text.registry import build_text_masker
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.training.engines.base import Engine, pick_device
from pgsclip.training.engines.torch_engine import TorchEngine
from pgsclip.training.task import Task


def open_device(wanted: str, world: World) -> torch.device:
    """The device called `wanted`, for this process.

    Raises:
        ConfigError: there is no such device here.
    """
    check_device(wanted, world)
    return pick_device(wanted, world)


def check_device(wanted: str, world: World) -> None:
    """
    Raises:
        ConfigError: there is no device called `wanted` for this process.
    """
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if wanted not in ("auto", "cpu", *there):
        raise ConfigError(f"There is no kind of device {wanted!r}; give auto, cpu, cuda or mps.")
    if there.get(wanted, 1) == 0:
        raise ConfigError(f"There is no {wanted} device on this machine; give auto or cpu, or run where there is one.")
    if (wanted == "cuda" or (wanted == "auto" and there["cuda"])) and world.local_rank >= there["cuda"]:
        raise ConfigError(
            f"Process {world.local_rank} of this machine has no GPU of its own, as there are {there['cuda']}; "
            f"start that many processes here (torchrun --nproc-per-node {there['cuda']}), or give engine.device=cpu."
        )


def build_task(
    config: RunConfig, world: World, *, count_words: bool = True, begin: bool = True, numbers: bool = True
) -> tuple[BuiltModel, Task]:
    """Model, maskers and loss of a config, joined into the module that an engine wraps.

    Args:
        count_words: false spares a text masker's pass over the captions, for tasks that never train.
        begin: load the weights that the run starts from; false where those of a checkpoint come at once.
        numbers: false builds a model of shapes only, for tasks that never compute.
    """
    loss_class = load_main_loss(config.loss.name)
    masker = build_masker(config.masker.name, config.masker.params)
    if config.masker.ratio.is_range and not masker.chooses_ratio:
        refuse_range(config.masker.name, config.masker.ratio)
    needs_bias = loss_class.needs_bias
    built = build_model(config.model, seed=config.seed, loss_has_bias=needs_bias, begin=begin, numbers=numbers)
    refusal = built.image_tower.refusal
    if refusal and (config.masker.ratio.high > 0 or needs_model(masker)):
        raise ModelError(f"{refusal} Or train this one on whole images: --masker none.")
    loss = loss_class(rank=world.rank, world_size=world.size, logits_per_chunk=config.loss.logits_per_chunk)
    terms = [(given.name, _auxiliary(given, config, masker, built)) for given in config.loss.auxiliary]
    return built, Task(built, masker, loss, config, _text_masker(config, built, world, count_words), terms)


def _auxiliary(given: PluginConfig, config: RunConfig, masker: Masker, built: BuiltModel) -> nn.Module:
    """One auxiliary loss, if this run has what it needs."""
    sizes = Sizes(built.image_tower.width, built.vocab_size, config.data.views)
    term = build_auxiliary(given, sizes, config.seed)
    if term.wants_masker_features and not (needs_model(masker) and config.masker.ratio.high > 0):
        raise PluginError(
            f"The {plugins.describe(plugins.LOSSES, given.name)} compares with a model of the masker's own, and the "
            f"masker {config.masker.name!r} has none; take one that has, such as attention, in all phases, or leave "
            f"the loss out."
        )
    return term


def build_engine(
    task: Task, name: str, config: EngineConfig, optim: OptimConfig, world: World, device: torch.device, batch: int
) -> Engine:
    """The engine called `name`; deepspeed is imported only when it is the one.

    Args:
        batch: pairs per step over all processes.
    """
    if name == "deepspeed":
        from pgsclip.training.engines.deepspeed_engine import DeepSpeedEngine

        return DeepSpeedEngine(task, config, optim, world, device, batch)
    return TorchEngine(task, config, optim, world, device)


def _text_masker(config: RunConfig, built: BuiltModel, world: World, count_words: bool = True) -> TextMasker | None:
    """The masker of captions; the leading process counts words first, the others find its file."""
    if config.text.hides_nothing:
        return None
    if not built.text_tower.can_cut:
        raise ConfigError(
            f"text.masker={config.text.masker} shortens captions that end in CLIP's end-of-text token, and those of "
            f"{built.name} do not; leave text.masker and text.max_tokens out."
        )

    def counts() -> Tensor:
        if not count_words:
            return torch.ones(built.vocab_size, dtype=torch.int64)
        source = open_source(config.data.spec, config.data)
        if not world.leads:
            barrier()
        try:
            with Console(stderr=True, quiet=not world.leads).status("counting words") as status:
                return word_counts(config.data.spec, source, built.tokenizer, built.vocab_size, status.update)
        finally:
            if world.leads:
                barrier()

    return build_text_masker(config.text.masker, config.text.params, counts)


def open_training_data(config: RunConfig, built: BuiltModel, source: PairSource, world: World) -> Stream:
    """The training pairs of a source, as the model wants them."""
    pairs_per_batch(config, world)
    return open_stream(
        source,
        config=config.data,
        transform=TrainCrop(
            built.image_tower.image_size,
            config.data.crop_scale,
            built.preprocess["interpolation"],
            config.data.background,
        ),
        tokenizer=built.tokenizer,
        seed=config.seed,
        world=world.size,
    )


def pairs_per_batch(config: RunConfig, world: World) -> int:
    """Pairs that one process takes from its loader at a time.

    Raises:
        ConfigError: the batch does not divide over processes and accumulation.
    """
    shares = world.size * config.optim.accumulation_steps
    pairs = config.data.pairs_per_step
    if pairs % shares:
        over = f"{world.size}" + (
            f" x {config.optim.accumulation_steps} (optim.accumulation_steps)" if shares > world.size else ""
        )
        raise ConfigError(
            f"data.batch_size {pairs} is the batch of all processes together and does not divide "
            f"over {over}; give a multiple of {shares}."
        )
    return pairs // shares


def held_out_spec(config: RunConfig) -> str | None:
    """The held-out pairs of a run, None where there are none."""
    return find_held_out(config.data.spec) if config.evaluate.data == "auto" else config.evaluate.data


def open_held_out(config: RunConfig, built: BuiltModel) -> list[HeldOut]:
    """What this run is evaluated on; `auto` is what belongs to its training data, if anything does.

    Raises:
        DataError: it is not there. Said before the run starts, not when it ends.
    """
    spec = held_out_spec(config)
    sets = held_out_sets(spec, config.data, built.preprocess_eval(), built.tokenizer, config.evaluate.batch_size)
    if config.evaluate.suite is not None:
        root, size = Path(config.evaluate.eval_root), config.evaluate.batch_size
        sets.append(open_suite(config.evaluate.suite, root, built.preprocess_eval(), size, config.data.background))
    return sets
