"""The whole description of a run as one typed tree. Every default of the project lives here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from pgsclip.config.ratio import Ratio
from pgsclip.errors import ConfigError

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Spec = Annotated[str, Field(min_length=1)]


def _in_order(given: tuple[float, float]) -> tuple[float, float]:
    if not 0 < given[0] <= given[1]:
        raise ValueError(f"{list(given)} is not a range of shares: give the smallest, above 0, and then the largest")
    return given


def _no_other_word(given: Any) -> Any:
    if given != "auto":
        raise ValueError(f"{given!r} is neither a whole number nor 'auto'")
    return given


def _kind(given: Any) -> str:
    return "word" if isinstance(given, str) and not given.lstrip("+-").isdigit() else "int"


_Auto = Annotated[Literal["auto"], BeforeValidator(_no_other_word), Tag("word")]
PositiveOrAuto = Annotated[_Auto | Annotated[Positive, Tag("int")], Discriminator(_kind)]
CountOrAuto = Annotated[_Auto | Annotated[int, Field(ge=0), Tag("int")], Discriminator(_kind)]
"""A number, or a word in whose place one is measured before a run begins (`pgsclip.training.planning.autotune`)."""


class Section(BaseModel):
    """Frozen, no unknown keys; the docstring under a field is its help text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PluginConfig(Section):
    """One of several plugins of a kind; its bare name will do where it needs no parameters."""

    name: Spec
    """A registered name or `package.module:Class`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the plugin itself; checked when it is built."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


def _each_once(given: tuple[PluginConfig, ...]) -> tuple[PluginConfig, ...]:
    twice = sorted({one.name for one in given if sum(one.name == other.name for other in given) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice; give each once")
    return given


Plugins = Annotated[tuple[PluginConfig, ...], AfterValidator(_each_once)]


class DataConfig(Section):
    """Which pairs are seen, how many at once, and how damage is handled."""

    spec: Spec = "generated"
    """`generated`, shards (`dir/{00000..01242}.tar`, a glob, `a::b`), a .csv/.tsv, or a folder of images."""
    samples: Positive | None = None
    """Pairs in one epoch; counted once when not given."""
    batch_size: PositiveOrAuto = 256
    """Pairs per optimiser step over all processes together; `auto` finds the most that fit into the memory."""
    workers: CountOrAuto | None = None
    """Loader processes per training process; null takes up to four, one for each core, never more than there are
    shards; `auto` measures how many the steps need."""
    shuffle: Positive = 5000
    """Shards are shuffled as a whole, samples within a buffer of this many."""
    crop_scale: Annotated[tuple[Share, Share], AfterValidator(_in_order)] = (0.9, 1.0)
    """Smallest and largest share of the image area that a random crop covers."""
    caption_part_probability: Share = 0.0
    """Probability, for each caption and epoch, that only one sentence or keyword of it is read; 0 reads all whole."""
    views: Positive = 1
    """Random crops of each image; each is masked and compared with the caption by itself, and losses are averaged."""
    max_bad_share: Share = 0.02
    """Share of the pairs read so far, 0 to 1, that may be unusable; the run stops when there are more."""
    stall_seconds: Annotated[float, Field(gt=0, le=1e7)] = 600.0
    """A batch that takes longer than this ends the run with the name of the shard that was being read."""
    image_key: str | None = None
    """Column of a table that holds the image path; found by its name when not given."""
    caption_key: str | None = None
    """Column of a table that holds the caption; found by its name when not given."""

    @property
    def pairs_per_step(self) -> int:
        """`batch_size` as a number.

        Raises:
            ConfigError: it is `auto` still, which is settled when a run begins.
        """
        if not isinstance(self.batch_size, int):
            raise ConfigError(
                "data.batch_size=auto is a number only after a measurement: `pgsclip train` makes it as it starts, and "
                "so does --dry-run without --no-measure; give a number here."
            )
        return self.batch_size


class ModelConfig(Section):
    """Any open_clip model whose image tower is a ViT."""

    name: str = "ViT-B-16"
    """An open_clip model name, one of ours (`pgsclip-smoke`, `pgsclip-clipart`), or `local-dir:FOLDER` of an exported
    model, which then is where the weights start from."""
    pretrained: str | None = None
    """What to start from: an open_clip pretrained tag, a file (.safetensors, .pt), a run, or the folder of an exported
    model."""
    image_size: Positive | None = None
    """Side of the square input in pixels; the model's own when not given."""
    checkpoint_activations: bool = False
    """Compute activations again in the backward pass: less memory, about a third more time."""


class MaskerConfig(Section):
    """Which patches the image encoder is shown."""

    name: str = "none"
    """A registered masker (`pgsclip maskers` lists them) or `package.module:Class`."""
    ratio: Ratio = Ratio(0.5, 0.5)
    """Share of patches removed; `0.3:0.5` lets the masker choose for each image. `none` removes nothing."""
    max_passes: Positive = 4
    """With a range, a batch is sorted by patch count and encoded in at most this many passes, cut where they pad
    least."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the masker itself; checked when it is built."""

    @model_validator(mode="before")
    @classmethod
    def _none_hides_nothing(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("name", "none") == "none":
            Ratio.parse(given.get("ratio", 0))  # a ratio that is none is a mistake here too
            return {**given, "ratio": 0}
        return given


class TextConfig(Section):
    """How captions run through the text encoder."""

    max_passes: Positive = 3
    """Captions are sorted by length and encoded in at most this many passes, each padded to its longest only. Exact."""
    masker: str = "none"
    """A registered text masker (none, truncate, frequency) or `package.module:Class`; training only."""
    max_tokens: Annotated[int, Field(ge=3)] | None = None
    """Tokens that a text masker leaves of a caption at most, start and end of text included; at least 3."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the text masker itself; checked when it is built."""

    @model_validator(mode="after")
    def _masker_and_tokens_together(self) -> TextConfig:
        if (self.masker == "none") != (self.max_tokens is None):
            raise ValueError(
                "text.masker and text.max_tokens must be set together, such as text.masker=frequency text.max_tokens=16"
            )
        return self


class LossConfig(Section):
    """The training objective."""

    name: str = "clip"
    """A registered loss: `clip` or `siglip`."""
    auxiliary: Plugins = ()
    """Losses that are added, each a name or `{name: …, params: {…}}`; `pgsclip plugins` lists them."""
    max_scale: Above0 = 100.0
    """Upper bound of exp(logit_scale), the inverse temperature."""
    logits_per_chunk: Positive = 2**24
    """Logits held in memory at once; the logits of a larger batch are computed in chunks of rows, exactly."""


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay to zero."""

    lr: Above0 = 1e-3
    """Peak learning rate."""
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    eps: Above0 = 1e-6
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.2
    """Applied to weight matrices only; never to gains, biases or the temperature."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    clip_grad_norm: Above0 | None = None
    """Largest gradient norm; not clipped when null."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When loss or gradient is NaN or infinite: `stop` ends the run, `skip` goes on. No such update is applied."""
    accumulation_steps: Positive = 1
    """Parts that a batch is encoded in, one after the other and each twice; the gradient is that of the whole batch."""
    steps: Positive | None = None
    """Length of the run in optimiser steps."""
    epochs: Above0 | None = None
    """Length of the run in passes over the data; `steps` wins when both are given."""


class PhaseConfig(Section):
    """A stretch of training after the main one, such as FLIP's unmasked tuning (arXiv 2212.00794, section 3).

    Weights, Adam's memory and the place in the data carry over; warm-up and cosine start anew.
    """

    steps: Positive | None = None
    epochs: Above0 | None = None
    """Length in passes over the data; `steps` wins when both are given."""
    lr: Above0 | None = None
    """Peak learning rate; that of `optim.lr` when not given."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    masker: MaskerConfig = MaskerConfig()
    """Every patch is shown when not given."""
    image_size: Positive | None = None
    """Side of the input in pixels; as before when not given. Position embeddings are resized."""


class EngineConfig(Section):
    """What executes a step."""

    name: Literal["auto", "torch", "deepspeed"] = "auto"
    """`auto` takes DeepSpeed on a GPU or with several processes, torch otherwise."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 1
    """DeepSpeed only: what is split over processes: 1 optimiser state, 2 also gradients, 3 also weights."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` is bf16 on GPUs that have it, fp32 elsewhere. Weights stay fp32; bf16 and fp16 are autocast."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto` takes CUDA, then MPS, then the CPU."""
    timeout_minutes: Above0 = 10.0
    """How long a process waits for its peers before it stops with a sentence."""
    compile: bool = False
    """torch.compile the blocks of both towers; not with ZeRO stage 3, which gathers their weights within them."""

    @model_validator(mode="after")
    def _whole_blocks_alone_are_compiled(self) -> EngineConfig:
        if self.compile and self.zero_stage == 3:
            raise ValueError("compile and zero_stage=3 do not go together: give compile=false, or a stage of 0 to 2")
        return self


class CheckpointConfig(Section):
    """When the run is saved. It is always saved at its end."""

    every_steps: Positive | None = None
    every_minutes: Above0 | None = 30.0
    keep: Positive = 3
    """How many checkpoints stay; older ones are deleted."""


class LogConfig(Section):
    """What is written to metrics.jsonl and the terminal."""

    every_steps: Positive = 10
    loggers: Plugins = ()
    """Where rows go beside metrics.jsonl and the terminal, each a name or `{name: …, params: {…}}`."""
    mask_images: tuple[Spec, ...] = ()
    """Image files whose masks are drawn at every checkpoint, into `masks/` of the run."""


class ProbeConfig(Section):
    """The linear probe, with the settings of arXiv 2503.17080."""

    lr: Above0 = 0.1
    epochs: Positive = 10
    batch_size: Positive = 512
    seed: Annotated[int, Field(ge=0)] = 0


class EvaluateConfig(Section):
    """Evaluation on held-out pairs during and at the end of training."""

    every_steps: Positive | None = None
    """Evaluate also during the run; always at its end."""
    data: Spec | None = "auto"
    """Held-out pairs, given as `data.spec` is; `auto`: `val-*.tar` beside the training shards; null: none."""
    batch_size: Positive = 256
    suite: str | None = None
    """Also the sets of `paper`, or of a file with the name of one set a line; those that are missing are left out."""
    eval_root: str = "data"
    """Folder of the suite's sets, as for `pgsclip eval --eval-root`."""


def _as_text(given: Any) -> Any:
    return None if given is None else str(given)


class RunConfig(Section):
    """One training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """All chance of a run (weights, data order, crops, masks) comes from this number."""
    out: Annotated[str | None, BeforeValidator(_as_text)] = None
    """Run folder; `runs/<recipe>-<masker>-<ratio>` when not given."""
    recipe: str | None = None
    """Name of the recipe that this run started from, for the record."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    masker: MaskerConfig = MaskerConfig()
    text: TextConfig = TextConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    phases: tuple[PhaseConfig, ...] = ()
    """What follows the training that `optim` describes, one after the other."""
    engine: EngineConfig = EngineConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
