"""From a model config to an open_clip model with adapters that can hide patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pgsclip.config.schema import ModelConfig
from pgsclip.models.creation import create_model, load_tokenizer
from pgsclip.models.description import describe_model, open_clip_name
from pgsclip.models.freezing import Frozen, freeze
from pgsclip.models.hub import text_tower_source
from pgsclip.models.layers import Layers, Passes, count_passes, find_layers
from pgsclip.models.logit_scale import BIAS, SCALE, give_bias, has_bias, take_bias
from pgsclip.models.preprocessing import Preprocess, attach, eval_transform
from pgsclip.models.source import ModelRef
from pgsclip.models.start import complete_model, find_start
from pgsclip.models.towers.adapt import adapt_or_whole
from pgsclip.models.towers.image_tower import ImageTower
from pgsclip.models.towers.text_tower import TextTower
from pgsclip.models.weights import Loaded, load_weights

Transform = Callable[[Any], Tensor]
Tokenizer = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True)
class BuiltModel:
    """A model with everything that belongs to it."""

    name: str
    model: nn.Module
    """open_clip's, its weights untouched by us: they load and save as open_clip's own."""
    image_tower: ImageTower
    text_tower: TextTower
    tokenizer: Tokenizer
    context_length: int
    vocab_size: int
    preprocess: Preprocess
    """open_clip's description of how an image is made fit, complete."""
    model_cfg: Mapping[str, Any] = field(default_factory=dict)
    """From which open_clip builds this very architecture."""
    layers: Layers = field(default_factory=Layers)
    """The place of each parameter in its tower."""
    frozen: Frozen = field(default_factory=Frozen)
    """What is not trained."""
    loaded: Loaded | None = None
    """What became of the weights that it starts from; None where it has none."""
    finding: str | None = None
    """A sentence that the user should read about the weights that it starts from."""

    @property
    def patches(self) -> int:
        """Patches of one image at the model's input size; 1 where the tower cannot hide any."""
        (height, width), (rows, columns) = self.image_tower.image_size, self.image_tower.patch_size
        return (height // rows) * (width // columns)

    @property
    def passes(self) -> Passes:
        """What a step costs each tower, in forward passes."""
        return count_passes(self.model, self.layers)

    @property
    def description(self) -> dict[str, Any]:
        """What open_clip's `open_clip_config.json` holds of this model."""
        return {"model_cfg": dict(self.model_cfg), "preprocess_cfg": dict(self.preprocess)}

    def preprocess_eval(self) -> Transform:
        """PIL image → resized and normalised (3, H, W), as the model is evaluated."""
        return eval_transform(self.preprocess)


def build_model(
    config: ModelConfig, *, seed: int, loss_has_bias: bool, begin: bool = True, numbers: bool = True
) -> BuiltModel:
    """Create the model; the same seed gives the same weights, and no global generator moves.

    Args:
        loss_has_bias: the loss wants `logit_bias`; scale and bias then start as SigLIP's (arXiv 2303.15343, section 3).
        begin: load the weights that the config starts from; false where others take their place at once.
        numbers: false builds shapes only, for plans: in no time and no memory. Nothing is fetched; a file of weights
            is held against the shapes.

    Raises:
        ModelError: unknown name, a model that is not one image and one text tower, something that would come from the
            network, or weights that do not fit.
    """
    config = complete_model(config).config
    start = find_start(config) if begin else None
    fresh = begin and numbers and start is None
    with open_clip_name(config.name) as name:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs' generators for good
            model = create_model(
                config.name,
                name,
                tag=start.tag if start is not None and numbers else None,
                begin_text=fresh,
                numbers=numbers,
                force_image_size=config.image_size,
                force_patch_dropout=0.0,
                nonscalar_logit_scale=True,  # DeepSpeed refuses parameters without a dimension
            )
        text_source = text_tower_source(name) if fresh else None
        tokenizer = load_tokenizer(config.name, name)
        loaded = _begin(model, start, loss_has_bias)
        model_cfg = describe_model(name, model)
    if config.checkpoint_activations:
        model.set_grad_checkpointing(True)
    image_tower, text_tower = adapt_or_whole(model.visual), TextTower(model)
    layers = find_layers(model, image_tower.blocks, text_tower.blocks)
    return BuiltModel(
        name=config.name,
        model=model,
        image_tower=image_tower,
        text_tower=text_tower,
        tokenizer=tokenizer,
        # What it gives, and not what the tower could take: Hugging Face's towers tell 512, 514, or nothing.
        context_length=int(getattr(tokenizer, "context_length", None) or model.context_length),
        vocab_size=int(model.vocab_size),
        preprocess=attach(model, config.preprocess),
        model_cfg=model_cfg,
        layers=layers,
        frozen=freeze(model, layers, config.freeze, norms=config.train_norms),
        loaded=loaded,
        finding=_text_finding(text_source) if start is None else start.finding,
    )


def _begin(model: nn.Module, start: ModelRef | None, loss_has_bias: bool) -> Loaded | None:
    """Give a new model its weights, and the scale and bias of its loss; what became of weights that it starts from."""
    tensors = len(model.state_dict())
    had_bias = has_bias(model)
    if loss_has_bias and not (had_bias and start is not None and start.tag):
        give_bias(model)
    if not loss_has_bias:
        take_bias(model)
    if start is None:
        return None
    if start.file is not None:
        return load_weights(model, start.file, new_loss=True)
    begun = (BIAS, SCALE) if loss_has_bias and not had_bias else ()
    dropped = (BIAS,) if had_bias and not loss_has_bias else ()
    return Loaded(tensors + len(begun[:1]) - len(dropped), begun=begun, dropped=dropped)


def _text_finding(source: str | None) -> str | None:
    if source is None:
        return None
    return f"The text tower starts from the weights of {source} (Hugging Face), as open_clip has it; all else is new."
