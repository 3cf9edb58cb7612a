from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_clip import factory
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import build_model
from pgsclip.models.weights import load_weights, save_state_dict


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def same(model: nn.Module, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, state[name].reshape(tensor.shape)) for name, tensor in model.state_dict().items())


def test_open_clip_loads_what_we_save_and_computes_the_same(
    make_clip: Any, images: Tensor, captions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
    text = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-saved", config)
    ours = make_clip(seed=7).float()
    path = tmp_path / "open_clip_model.safetensors"
    save_state_dict(ours.state_dict(), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    theirs = open_clip.create_model("tiny-saved", pretrained=str(path)).eval()
    assert theirs.logit_scale.shape == ()
    assert same(theirs, ours.state_dict())
    pixels = images.float()
    torch.testing.assert_close(theirs.encode_image(pixels), ours.encode_image(pixels))
    torch.testing.assert_close(theirs.encode_text(captions.texts), ours.encode_text(captions.texts))
    config_of_it = ModelConfig(name="tiny-saved", pretrained=str(path))
    assert same(build_model(config_of_it, seed=0, loss_has_bias=False).model, ours.state_dict())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("form", ["bare", "checkpoint", "safetensors"])
def test_every_form_of_a_checkpoint_loads(prefix: str, form: str, make_clip: Any, tmp_path: Path) -> None:
    source = make_clip(seed=3, nonscalar_logit_scale=False, init_logit_bias=-9.0)
    state = {prefix + name: tensor.clone() for name, tensor in source.state_dict().items()}
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save({"epoch": 3, "name": "run", "state_dict": state} if form == "checkpoint" else state, path)
    model = make_clip(seed=0, init_logit_bias=-10.0)
    load_weights(model, path)
    assert same(model, source.state_dict())
    assert model.logit_scale.shape == (1,)


def test_half_precision_weights_become_those_of_the_model(make_clip: Any, tmp_path: Path) -> None:
    source = make_clip(seed=3).half()
    save_state_dict(source.state_dict(), tmp_path / "w.safetensors")
    model = make_clip().float()
    load_weights(model, tmp_path / "w.safetensors")
    assert model.visual.conv1.weight.dtype == torch.float32
    assert same(model, source.state_dict())


def test_positions_of_another_image_size_are_resized(make_clip: Any, tmp_path: Path) -> None:
    source = make_clip(seed=3).float()
    save_state_dict(source.state_dict(), tmp_path / "w.safetensors")
    model = make_clip(vision={"image_size": 48}).float()
    load_weights(model, tmp_path / "w.safetensors")
    old, new = source.visual.positional_embedding, model.visual.positional_embedding
    grid = old[1:].reshape(1, 4, 4, 32).permute(0, 3, 1, 2)
    by_hand = F.interpolate(grid, (6, 6), mode="bicubic", antialias=True)[0].flatten(1).mT
    torch.testing.assert_close(new[1:], by_hand)
    torch.testing.assert_close(new[0], old[0])


@pytest.mark.parametrize("custom", [False, True])
def test_positions_of_another_context_length_are_resized(custom: bool, make_clip: Any, tmp_path: Path) -> None:
    source = make_clip(custom=custom, seed=3).float()
    save_state_dict(source.state_dict(), tmp_path / "w.safetensors")
    model = make_clip(custom=custom, text={"context_length": 20}).float()
    load_weights(model, tmp_path / "w.safetensors")
    old, new = ((one.text if custom else one).positional_embedding.detach() for one in (source, model))
    places = (np.arange(20) + 0.5) * len(old) / 20 - 0.5  # the middle of each new place, in old ones
    by_hand = np.stack([np.interp(places, np.arange(len(old)), column) for column in old.T.numpy()], axis=1)
    assert len(new) == 20 > len(old)
    np.testing.assert_allclose(new.numpy(), by_hand, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"vision": {"layers": 3}}, r"12 not of this model \(such as visual.transformer.resblocks.2.attn.in_proj_bias"),
        ({"vision": {"layers": 1}}, r"12 missing \(such as visual.transformer.resblocks.1.attn.in_proj_bias"),
        ({"vision": {"width": 48}}, r"of another shape \(such as visual.class_embedding\)"),
        ({"text": {"width": 48, "heads": 3}}, r"of another shape \(such as ln_final.bias\)"),
        ({"custom": True}, r"missing \(such as ln_final.bias\), \d+ not of this model \(such as text.ln_final.bias\)"),
        ({"init_logit_bias": -10.0}, r"1 not of this model \(such as logit_bias\)"),
    ],
)
def test_weights_of_another_architecture_are_refused_and_nothing_changes(
    source: dict[str, Any], said: str, make_clip: Any, tmp_path: Path
) -> None:
    model = make_clip().float()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_state_dict(make_clip(**source, seed=3).float().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=rf"do not fit this model: .*{said}.*Set model\.name .* to the architecture"):
        load_weights(model, tmp_path / "w.safetensors")
    assert same(model, before)


def test_weights_of_clip_enter_a_model_whose_text_tower_is_a_module_of_its_own(make_clip: Any, tmp_path: Path) -> None:
    """open_clip itself says what they become there."""
    plain = make_clip(seed=3).float()
    save_state_dict(plain.state_dict(), tmp_path / "w.safetensors")
    ours, theirs = make_clip(custom=True).float(), make_clip(custom=True, seed=1).float()
    load_weights(ours, tmp_path / "w.safetensors")
    open_clip.load_checkpoint(theirs, str(tmp_path / "w.safetensors"))
    assert same(ours, theirs.state_dict())


def test_the_bias_of_another_loss_begins_anew_or_is_left_out_only_where_that_is_asked_for(
    make_clip: Any, tmp_path: Path
) -> None:
    clip, siglip = (make_clip(seed=3).float(), make_clip(seed=3, init_logit_bias=-9.0, init_logit_scale=3.0).float())
    for name, model in (("clip", clip), ("siglip", siglip)):
        save_state_dict(model.state_dict(), tmp_path / f"{name}.safetensors")
    fresh = make_clip(init_logit_bias=-10.0, init_logit_scale=2.0).float()
    loaded = load_weights(fresh, tmp_path / "clip.safetensors", new_loss=True)
    assert (fresh.logit_bias.item(), fresh.logit_scale.item()) == (-10, 2)
    assert torch.equal(fresh.visual.proj, clip.visual.proj)
    tensors = len(fresh.state_dict())
    assert loaded.begun == ("logit_bias", "logit_scale")
    assert loaded.sentence() == f"{tensors - 2} of {tensors} tensors fit; begun anew: logit_bias, logit_scale"
    without = make_clip().float()
    loaded = load_weights(without, tmp_path / "siglip.safetensors", new_loss=True)
    assert without.logit_scale.item() == 3
    assert loaded.sentence() == f"{tensors - 1} of {tensors - 1} tensors fit; left out: logit_bias"
    loaded = load_weights(fresh, tmp_path / "siglip.safetensors", new_loss=True)
    assert (fresh.logit_bias.item(), fresh.logit_scale.item(), loaded.begun) == (-9, 3, ())
    with pytest.raises(ModelError, match=r"1 missing .such as logit_bias"):
        load_weights(fresh, tmp_path / "clip.safetensors")


def test_clip_weights_do_not_enter_a_model_without_positions(make_clip: Any, tmp_path: Path) -> None:
    save_state_dict(make_clip().state_dict(), tmp_path / "w.safetensors")
    model = make_clip(custom=True)
    model.text = nn.Linear(2, 2)
    with pytest.raises(ModelError, match="do not fit this model"):
        load_weights(model, tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w.pth"])
def test_a_payload_is_refused_and_does_not_run(name: str, make_clip: Any, tmp_path: Path) -> None:
    model = make_clip()
    torch.save({"state_dict": model.state_dict(), "extra": Payload(tmp_path / "ran")}, tmp_path / name)
    with pytest.raises(ModelError, match=r"holds more than tensors or is damaged, and is not unpickled for safety"):
        load_weights(model, tmp_path / name)
    assert not (tmp_path / "ran").exists()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999), suffix=st.sampled_from(["pt", "safetensors"]))
def test_a_truncated_file_is_a_sentence(share: float, suffix: str, make_clip: Any, tmp_path: Path) -> None:
    model, path = make_clip(), tmp_path / f"w.{suffix}"
    if suffix == "pt":
        torch.save(model.state_dict(), path)
    else:
        save_state_dict(model.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"damaged|not a readable safetensors file"):
        load_weights(model, path)


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x80\x02", b"\x80\x02K\x01.", bytes(100)])
def test_a_file_of_something_else_is_a_sentence(junk: bytes, make_clip: Any, tmp_path: Path) -> None:
    for name in ("w.pt", "w.safetensors"):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(ModelError, match=r"damaged|not a readable safetensors file|holds no state dict"):
            load_weights(make_clip(), tmp_path / name)


@pytest.mark.parametrize("content", [torch.zeros(2), [1, 2], {"state_dict": {"a": 1}}])
def test_a_file_without_a_state_dict(content: Any, make_clip: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds no state dict of tensors; expected one, or a checkpoint with"):
        load_weights(make_clip(), tmp_path / "w.pt")


def test_no_such_file(make_clip: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no weights file .*none.pt; give a .safetensors or .pt file"):
        load_weights(make_clip(), tmp_path / "none.pt")


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_state_dict({"a": torch.ones(2)}, path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_state_dict({"a": torch.zeros(2)}, path)
    assert load_file(path)["a"].tolist() == [1, 1]


def test_views_are_saved_whole(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    save_state_dict({"a": base.mT, "b": base[0], "logit_bias": torch.tensor([3.0])}, tmp_path / "w.safetensors")
    read = load_file(tmp_path / "w.safetensors")
    assert torch.equal(read["a"], base.mT)
    assert torch.equal(read["b"], base[0])
    assert read["logit_bias"].shape == ()
