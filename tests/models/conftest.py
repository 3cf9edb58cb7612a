"""Models small enough for a test, and open_clip itself as the oracle for what they compute.

In float64, so that equal means equal: a thing left out cannot hide behind rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import pytest
import tokenizers
import torch
import transformers
from open_clip.timm_model import TimmModel
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor, nn

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}
END = 63
"""End of text: the largest token, as in the vocabulary of CLIP."""

Config = dict[str, Any]
MakeClip = Callable[..., nn.Module]
MakeTimm = Callable[..., TimmModel]


class Captions(NamedTuple):
    texts: Tensor
    lengths: Tensor


class KeepThese(nn.Module):
    """Takes the place of open_clip's `patch_dropout` and timm's `patch_drop`: the given patches, image by image."""

    def __init__(self, keep: Tensor, prefix: int, *, tells: bool = False) -> None:
        """`tells`: the patches come with their numbers, as timm's Eva wants them."""
        super().__init__()
        self.keep = keep
        self.prefix = prefix
        self.tells = tells

    def forward(self, tokens: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        rows = []
        for image, keep in zip(tokens, self.keep, strict=True):
            rows.append(torch.cat([image[: self.prefix], image[self.prefix :][keep]]))
        return (torch.stack(rows), self.keep) if self.tells else torch.stack(rows)


@pytest.fixture
def make_clip() -> MakeClip:
    """`make_clip(custom=…, vision={…}, text={…}, **options)`: open_clip's CLIP or CustomTextCLIP, seeded."""

    def make(
        *, custom: bool = False, vision: Config | None = None, text: Config | None = None, seed: int = 0, **options: Any
    ) -> nn.Module:
        kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            options = {"nonscalar_logit_scale": True, **options}
            return kind(16, {**VISION, **(vision or {})}, {**TEXT, **(text or {})}, **options).double().eval()

    return make


@pytest.fixture
def make_timm() -> MakeTimm:
    """`make_timm(**options of the trunk)`: a two-block timm ViT, or what `kind` makes, inside open_clip's TimmModel."""

    def make(kind: Callable[..., nn.Module] = TimmVisionTransformer, **options: Any) -> TimmModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = TimmModel("test_vit", embed_dim=16, image_size=48, pool="token")
            shape = {"img_size": 48, "patch_size": 16, "embed_dim": 64, "depth": 2, "num_heads": 2, "num_classes": 0}
            model.trunk = kind(**{**shape, **options})
            if model.trunk.num_features != 64:
                model.head.proj = nn.Linear(model.trunk.num_features, 16, bias=False)
            for name, parameter in model.trunk.named_parameters():
                if name.endswith(("cls_token", "reg_token")):  # almost zero at birth, so a lost one would not show
                    nn.init.normal_(parameter)
        return model.double().eval()

    return make


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def captions() -> Captions:
    """Six captions of 2 to 12 tokens, zeros behind the end."""
    lengths = torch.tensor([5, 2, 12, 3, 7, 3])
    texts = torch.randint(1, END, (6, 12), generator=torch.Generator().manual_seed(2))
    for row, length in zip(texts, lengths.tolist(), strict=True):
        row[length - 1] = END
        row[length:] = 0
    return Captions(texts, lengths)


@pytest.fixture
def gradients() -> Callable[[nn.Module, Tensor], dict[str, Tensor]]:
    """Of every parameter that the features reach, for one fixed and uneven loss of those features."""

    def compute(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
        model.zero_grad()
        (features * torch.linspace(-1, 2, features.numel()).reshape(features.shape)).sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    return compute


@pytest.fixture
def keep_these() -> type[KeepThese]:
    return KeepThese


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "green", "circle", "square", "on", "the"]
_ENCODER: Config = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
HUGGING_FACE: dict[str, tuple[str, Config]] = {
    "bert": ("BertConfig", _ENCODER),
    "roberta": ("RobertaConfig", _ENCODER),
    "xlm-roberta": ("XLMRobertaConfig", _ENCODER),
    "mt5": (
        "MT5Config",
        {"vocab_size": 64, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "pad_token_id": 0},
    ),
    "m2m_100": (
        "M2M100Config",
        {
            "vocab_size": 64, "d_model": 32, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 40,
            "pad_token_id": 0,
        },
    ),
}  # fmt: skip


@pytest.fixture
def write_text_tower() -> Callable[[Path, str], Config]:
    """`write_text_tower(folder, kind)`: a small text tower of Hugging Face, its weights fresh, with a tokenizer of
    twelve words; the `text_cfg` with which open_clip builds it."""

    def write(folder: Path, kind: str) -> Config:
        name, values = HUGGING_FACE[kind]
        config = getattr(transformers, name)(**values)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            transformers.AutoModel.from_config(config).save_pretrained(folder)
        words = tokenizers.Tokenizer(
            tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
        )
        words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        markers = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, **markers).save_pretrained(folder)
        place = str(folder.resolve())
        return {"hf_model_name": place, "hf_tokenizer_name": place, "hf_proj_type": "mlp", "context_length": 16}

    return write
