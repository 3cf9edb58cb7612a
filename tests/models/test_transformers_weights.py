"""`transformers.CLIPModel` itself is the oracle, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from pgsclip.models.transformers_config import from_config, to_config
from pgsclip.models.transformers_weights import from_transformers, is_transformers, to_transformers

TOKENIZER = open_clip.SimpleTokenizer(context_length=12)
TEXT = {"vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
FORMS: dict[str, dict[str, Any]] = {
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "custom text": {"custom": True},
    "pooled at the end of text": {"text": {**TEXT, "pool_type": "eos", "eos_id": 49407}},
    "another mlp": {"vision": {"mlp_ratio": 2.0}, "text": {**TEXT, "mlp_ratio": 3.0}},
}


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    """transformers before 5 makes the mask of its text model in torch's default type, whatever the model's is."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("float64_by_default")
def test_clip_model_computes_the_same_and_the_weights_come_back(form: str, make_clip: Any, images: Tensor) -> None:
    model = make_clip(**{"text": TEXT, **FORMS[form]})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # no bias is zero and no gain is one
    config = to_config(model, TOKENIZER)
    theirs = CLIPModel(CLIPConfig(**config)).double().eval()
    theirs.load_state_dict(to_transformers(model.state_dict()))
    tokens = TOKENIZER(["a cat", "two dogs and a very long caption that will be cut off somewhere near here"])
    with torch.no_grad():
        outputs = theirs(pixel_values=images, input_ids=tokens)
        torch.testing.assert_close(outputs.image_embeds, model.encode_image(images, normalize=True))
        torch.testing.assert_close(outputs.text_embeds, model.encode_text(tokens, normalize=True))
        torch.testing.assert_close(theirs.logit_scale, model.logit_scale.squeeze())
    back = from_transformers(to_transformers(model.state_dict()))
    plain = {name.removeprefix("text."): tensor for name, tensor in model.state_dict().items()}
    plain["logit_scale"] = plain["logit_scale"].reshape(())
    torch.testing.assert_close(back, plain, atol=0, rtol=0)
    rebuilt = open_clip.CLIP(**from_config(CLIPConfig(**config).to_dict())).double().eval()
    rebuilt.load_state_dict(back)
    with torch.no_grad():
        torch.testing.assert_close(rebuilt.encode_image(images), model.encode_image(images))
        torch.testing.assert_close(rebuilt.encode_text(tokens), model.encode_text(tokens))


def test_weights_are_known_by_their_names(make_clip: Any) -> None:
    state = make_clip().state_dict()
    assert is_transformers(to_transformers(state))
    assert not is_transformers(state)


def test_a_weight_without_a_place_is_named_and_an_unknown_one_keeps_its_name(make_clip: Any) -> None:
    state = make_clip(init_logit_bias=-10.0).state_dict()
    with pytest.raises(KeyError, match="logit_bias"):
        to_transformers(state)
    old = {"text_model.embeddings.position_ids": torch.zeros(1), "lora.weight": torch.ones(1)}
    assert from_transformers(old) == {"lora.weight": torch.ones(1)}
