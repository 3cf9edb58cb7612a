from __future__ import annotations

from typing import Any

import open_clip
import pytest
from transformers import CLIPConfig

from pgsclip.errors import ModelError
from pgsclip.models.transformers_config import from_config, from_preprocessor, to_config, to_preprocessor

TOKENIZER = open_clip.SimpleTokenizer(context_length=12)
TEXT = {"vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
PREPROCESS = {"size": (32, 32), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}


def test_what_is_left_out_is_openai_s() -> None:
    known = open_clip.get_model_config("ViT-B-32-quickgelu")
    found = from_config({"model_type": "clip"})
    assert found == from_config(CLIPConfig().to_dict())
    assert found["embed_dim"] == known["embed_dim"]
    assert found["quick_gelu"] == known["quick_gelu"]
    assert known["vision_cfg"].items() <= found["vision_cfg"].items()
    assert known["text_cfg"].items() <= found["text_cfg"].items()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bias": ({"init_logit_bias": -10.0}, r"logit_bias \(a model of the SigLIP loss\)"),
    "pool": ({"vision": {"pool_type": "avg"}}, r"image tower pools by 'avg'"),
    "late norm": ({"vision": {"final_ln_after_pool": True}}, r"image tower pools by 'tok'"),
    "no norm": ({"vision": {"no_ln_pre": True}}, r"no layer norm before the blocks"),
    "not square": ({"vision": {"image_size": (32, 16)}}, r"not square: \(32, 16\), \(8, 8\)"),
    "layer scale": ({"vision": {"ls_init_value": 0.1}}, r"its blocks are not plain"),
    "activation": ({"vision": {"act_kwargs": {"approximate": "tanh"}}}, r"neither GELU nor QuickGELU"),
    "not causal": ({"text": {**TEXT, "no_causal_mask": True}}, r"text tower is not plainly causal"),
    "pool of texts": ({"text": {**TEXT, "pool_type": "first"}}, r"pools by 'first' and not at the end of text"),
    "vocabulary": ({"text": {**TEXT, "vocab_size": 64}}, r"does not read CLIP's own vocabulary"),
    "projection": ({"text": {**TEXT, "proj_bias": True}}, r"text projection has a bias"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_clip_model_cannot_express_is_a_sentence(case: str, make_clip: Any) -> None:
    options, said = REFUSED[case]
    with pytest.raises(ModelError, match=rf"transformers\.CLIPModel cannot express this model: .*{said}.*--to open_cl"):
        to_config(make_clip(**{"text": TEXT, **options}), TOKENIZER)


def test_towers_of_others_are_a_sentence(make_clip: Any, make_timm: Any) -> None:
    model = make_clip(text=TEXT)
    model.visual = make_timm()
    with pytest.raises(ModelError, match=r"image tower is a VisionTransformer and not open_clip's own ViT"):
        to_config(model, TOKENIZER)


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "activation": ({"text_config": {"hidden_act": "relu"}, "vision_config": {"hidden_act": "relu"}}, r"act 'relu'; g"),
    "two activations": ({"text_config": {"hidden_act": "gelu"}}, r"hidden_act quick_gelu for images and gelu for text"),
    "vocabulary": ({"text_config": {"vocab_size": 64, "eos_token_id": 63}}, r"vocab_size 64, eos_token_id 63; expect"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_open_clip_cannot_express_is_a_sentence(case: str) -> None:
    config, said = FOREIGN[case]
    with pytest.raises(ModelError, match=said):
        from_config({"model_type": "clip", **config})


@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_preprocessing_comes_back(mode: str, interpolation: str) -> None:
    given = {**PREPROCESS, "resize_mode": mode, "interpolation": interpolation}
    back = from_preprocessor(to_preprocessor(given))
    expected = {**given, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    del expected["size"]
    assert back == expected


def test_preprocessing_of_another_kind_is_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"cannot resize as this model wants it \(resize_mode 'longest'"):
        to_preprocessor({**PREPROCESS, "resize_mode": "longest", "interpolation": "bicubic"})
