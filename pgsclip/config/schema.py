"""Every setting of a run as one typed tree, section by section, with its default and its help."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pgsclip.config.defaults import BACKGROUND, CROP_SCALE, EVAL_BATCH_SIZE, LOGITS_PER_CHUNK, MAX_PASSES, RATIO
from pgsclip.config.fields import (
    Above0,
    Channels,
    Colour,
    Count,
    CountOrAuto,
    Decay,
    Deviations,
    ImageSize,
    NotEmpty,
    Plugins,
    Positive,
    PositiveOrAuto,
    Section,
    Share,
    Shares,
    TowerParts,
)
from pgsclip.config.ratio import Ratio
from pgsclip.errors import ConfigError


class DataConfig(Section):
    """Training pairs: where they are, how many at once, and what happens when some are damaged."""

    spec: NotEmpty = "generated"
    """`generated`, shards (`dir/{00000..01242}.tar`, a glob, `a::b`), a CSV or TSV file, or a folder of images."""
    samples: Positive | None = None
    """Pairs in one epoch; counted when not given."""
    batch_size: PositiveOrAuto = 256
    """Pairs per optimiser step, over all processes; `auto` finds the most that fit into memory."""
    workers: CountOrAuto | None = None
    """Loader workers per training process. null: one per core, at most four and never more than shards; `auto`: as many
    as keep up with the steps; 0: the training process loads."""
    shuffle: Positive = 5000
    """Pairs in the shuffle buffer. Whole shards are shuffled as well."""
    crop_scale: Shares = CROP_SCALE
    """Smallest and largest share of the image area that a random crop covers."""
    caption_part_probability: Share = 0.0
    """Probability, for each caption and epoch, that only one sentence or keyword of it is read; 0 reads all whole."""
    views: Positive = 1
    """Random crops per image. Each is masked by itself and compared with the caption; their losses are averaged."""
    max_bad_share: Share = 0.02
    """Share of the pairs read so far, 0 to 1, that may be unusable; the run stops when there are more."""
    background: Colour = BACKGROUND
    """Colour that shows where an image is see-through, by name or as `#rrggbb`."""
    stall_seconds: Annotated[float, Field(gt=0, le=1e7)] = 600.0
    """Seconds that a batch may take. After that the run ends and names the shard that was being read."""
    image_key: str | None = None
    """Column of a table that holds the image paths; found by its name when not given."""
    caption_key: str | None = None
    """Column of a table that holds the captions; found by its name when not given."""

    @property
    def pairs_per_step(self) -> int:
        """`batch_size` as a number.

        Raises:
            ConfigError: it is still `auto`, which is resolved when a run begins.
        """
        if not isinstance(self.batch_size, int):
            raise ConfigError(
                "data.batch_size=auto is measured when a run starts, and has no number here. Give a number, or leave "
                "--no-measure out."
            )
        return self.batch_size


class PreprocessConfig(Section):
    """Size and colours of the images that the model reads.

    A setting that is null comes from the weights that the run starts from, or else is OpenAI's; the `config.yaml` of a
    run holds what was found.
    """

    mean: Channels | None = None
    """Mean of red, green and blue, in [0, 1], that is subtracted."""
    std: Deviations | None = None
    """Standard deviation of red, green and blue, that is divided by."""
    resize_mode: Literal["shortest", "longest", "squash"] | None = None
    """Resizing of whole images: `shortest` fills the input and crops the rest, `longest` fits within it and pads,
    `squash` changes the aspect ratio. Training crops fill the input."""
    interpolation: Literal["bicubic", "bilinear"] | None = None
    """Filter that images and training crops are resized with."""
    fill_color: Annotated[int, Field(ge=0, le=255)] | None = None
    """Grey level that `longest` pads with."""


class ModelConfig(Section):
    """Any open_clip model whose image tower is a ViT."""

    name: str = "ViT-B-16"
    """Name of an open_clip model, `pgsclip-smoke` or `pgsclip-clipart`; or `local-dir:FOLDER`, an exported model with
    its weights."""
    pretrained: str | None = None
    """Weights to start from: an open_clip tag, a file (.safetensors, .pt), a run, or a folder of an exported model."""
    image_size: ImageSize | None = None
    """Side of the square input in pixels, or `[height, width]`; that of the weights to start from, or the model's own,
    when not given. Position embeddings are resized."""
    preprocess: PreprocessConfig = PreprocessConfig()
    freeze: TowerParts = ()
    """Parts that are not trained: `image` or `text` (LiT trains the text tower to a frozen image tower), or the first
    blocks of one and what lies before them, such as `image:6`."""
    train_norms: bool = False
    """Train gains and biases of the norms in frozen parts all the same."""
    checkpoint_activations: bool = False
    """Compute activations a second time in the backward pass: less memory, about a third more time."""


class MaskerConfig(Section):
    """The patches that the image encoder sees, chosen by a masker."""

    name: str = "none"
    """Registered masker (`pgsclip maskers` lists them), or `package.module:Class`."""
    ratio: Ratio = Ratio(RATIO, RATIO)
    """Share of patches removed, from 0 to below 1. A range such as `0.3:0.5` lets the masker choose for each image."""
    max_passes: Positive = MAX_PASSES
    """With a range, a batch is sorted by patch count and encoded in at most this many passes, cut where they pad
    least."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the masker, checked when it is built."""

    @property
    def hides_nothing(self) -> bool:
        """Whether every patch is shown, whatever ratio was asked for."""
        return self.name == "none"

    @model_validator(mode="before")
    @classmethod
    def _none_has_ratio_0(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("name", "none") == "none":
            Ratio.parse(given.get("ratio", 0))  # what is no ratio is a mistake here too
            return {**given, "ratio": 0}
        return given


class TextConfig(Section):
    """The tokens of a caption that the text encoder reads, and in how many passes."""

    max_passes: Positive = 3
    """Captions are sorted by length and encoded in at most this many passes, each padded to its longest only. Exact."""
    masker: str = "none"
    """Registered text masker (none, truncate, frequency), or `package.module:Class`; used in training only."""
    max_tokens: Annotated[int, Field(ge=3)] | None = None
    """Tokens that a text masker leaves of a caption at most, start and end of text included; at least 3."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the text masker, checked when it is built."""

    @property
    def hides_nothing(self) -> bool:
        """Whether captions are read whole."""
        return self.masker == "none"

    @model_validator(mode="after")
    def _masker_and_max_tokens_together(self) -> TextConfig:
        if self.hides_nothing != (self.max_tokens is None):
            raise ValueError(
                "text.masker and text.max_tokens must be set together, such as text.masker=frequency text.max_tokens=16"
            )
        return self


class LossConfig(Section):
    """The training objective."""

    name: str = "clip"
    """Registered loss: `clip` or `siglip`."""
    auxiliary: Plugins = ()
    """Losses that are added, each a name or `{name: …, params: {…}}`; `pgsclip plugins` lists them."""
    max_scale: Above0 = 100.0
    """Upper bound of exp(logit_scale), the inverse of the temperature."""
    logits_per_chunk: Positive = LOGITS_PER_CHUNK
    """Logits held in memory at once; the logits of a larger batch are computed in chunks of rows, exactly."""


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay to zero."""

    lr: Above0 = 1e-3
    """Peak learning rate."""
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    """Decay rates of AdamW's two moments."""
    eps: Above0 = 1e-6
    """Number that AdamW adds to the denominator."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.2
    """Decay of weight matrices; gains, biases and logit_scale never decay."""
    warmup_steps: Count = 0
    """Steps in which the learning rate rises from 0 to its peak."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer of a tower to the one before it, for fine-tuning; 1 trains all layers
    at the same rate."""
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

    Weights, Adam's moments and the place in the data carry over; warm-up and cosine start anew.
    """

    steps: Positive | None = None
    """Length in optimiser steps."""
    epochs: Above0 | None = None
    """Length in passes over the data; `steps` wins when both are given."""
    lr: Above0 | None = None
    """Peak learning rate; that of `optim.lr` when not given."""
    warmup_steps: Count = 0
    """Steps in which the learning rate rises from 0 to its peak."""
    masker: MaskerConfig = MaskerConfig()
    """Masker of the phase; every patch is shown when not given."""
    freeze: TowerParts | None = None
    """Parts that are not trained, as `model.freeze`; as before when not given."""
    image_size: ImageSize | None = None
    """Side of the input in pixels, or `[height, width]`; as before when not given. Position embeddings are resized."""


class EngineConfig(Section):
    """Device, precision and the library that executes a step."""

    name: Literal["auto", "torch", "deepspeed"] = "auto"
    """`auto` takes DeepSpeed on a GPU or with several processes, torch otherwise."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 1
    """State that DeepSpeed splits over processes: 0 none, 1 optimiser state, 2 also gradients, 3 also weights."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` is bf16 on GPUs that have it, fp32 elsewhere. Weights stay fp32; bf16 and fp16 are autocast."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto` takes CUDA, then MPS, then the CPU."""
    timeout_minutes: Above0 = 10.0
    """Minutes that a process waits for the others before the run ends."""
    compile: bool = False
    """Compile the blocks of both towers with torch.compile. Not with ZeRO-3: it gathers weights inside the blocks."""

    @model_validator(mode="after")
    def _refuse_compile_with_zero_3(self) -> EngineConfig:
        if self.compile and self.zero_stage == 3:
            raise ValueError(
                "compile=true does not work with zero_stage=3; set compile=false, or zero_stage to 0, 1 or 2"
            )
        return self


class CheckpointConfig(Section):
    """When a run is saved. It is always saved at its end."""

    every_steps: Positive | None = None
    """Steps between two checkpoints; null: by time alone."""
    every_minutes: Above0 | None = 30.0
    """Minutes between two checkpoints; null: by steps alone."""
    keep: Positive = 3
    """Checkpoints that stay; older ones are deleted."""


class LogConfig(Section):
    """Rows of figures in metrics.jsonl and the terminal, and where else they go."""

    every_steps: Positive = 10
    """Steps between two rows."""
    loggers: Plugins = ()
    """Loggers that get every row too, each a name or `{name: …, params: {…}}`; `pgsclip plugins` lists them."""
    mask_images: tuple[NotEmpty, ...] = ()
    """Image files whose masks are drawn at every checkpoint, into `masks/` of the run."""


class ProbeConfig(Section):
    """The linear probe, with the settings of arXiv 2503.17080."""

    lr: Above0 = 0.1
    """Learning rate of AdamW."""
    epochs: Positive = 10
    """Passes over the training features."""
    batch_size: Positive = 512
    """Features per step."""
    seed: Count = 0
    """Seed of the order of the features and of the first weights."""


class EvaluateConfig(Section):
    """Evaluation on held-out pairs, and on sets of a suite, during a run and at its end."""

    every_steps: Positive | None = None
    """Steps between two evaluations; null: only at the end."""
    data: NotEmpty | None = "auto"
    """Held-out pairs, given as `data.spec` is; `auto`: `val-*.tar` beside the training shards; null: none."""
    batch_size: Positive = EVAL_BATCH_SIZE
    """Images encoded at once on one process."""
    suite: str | None = None
    """Sets to evaluate on as well: `paper`, or a file that names one set a line. Sets that are missing are left out."""
    eval_root: str = "data"
    """Folder of the suite's sets, as for `pgsclip eval --eval-root`."""


def _as_text(given: Any) -> Any:
    return None if given is None else str(given)


class RunConfig(Section):
    """One training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random choice of the run: weights, data order, crops, masks."""
    out: Annotated[str | None, BeforeValidator(_as_text)] = None
    """Run folder; `runs/<recipe>-<masker>-<ratio>` when not given."""
    recipe: str | None = None
    """Name of the recipe that the run started from; written by `pgsclip train`."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    masker: MaskerConfig = MaskerConfig()
    text: TextConfig = TextConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    phases: tuple[PhaseConfig, ...] = ()
    """Phases that follow the training of `optim`, one after the other."""
    engine: EngineConfig = EngineConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
