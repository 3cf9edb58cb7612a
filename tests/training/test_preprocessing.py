"""A run from weights with a preprocessing of their own, through every door; open_clip's own transform is the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

import pgsclip
from pgsclip import api
from pgsclip.errors import ModelError
from pgsclip.evaluation.loaded_model import load_model
from pgsclip.export.export import export
from pgsclip.models.build import BuiltModel
from pgsclip.models.opening import open_model
from pgsclip.models.source import find_source
from pgsclip.training import phase_trainer as running
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import train
from pgsclip.viz.embeddings import open_embedder

NAME = "pgsclip-own-looks"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 24, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
OWN = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "interpolation": "bilinear"}
PADDED = {**OWN, "resize_mode": "longest", "fill_color": 77}
SQUASHED = {**OWN, "resize_mode": "squash", "fill_color": 0}
SETTINGS = (
    "data.samples=16", "data.workers=0", "data.batch_size=4", "evaluate.data=null", "optim.steps=1", "optim.lr=1e-12",
    "optim.weight_decay=0", "engine.device=cpu", "masker.name=random", "masker.ratio=0.5",
)  # fmt: skip


@pytest.fixture
def tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the tag `own` of the model brings; its weights come from the disk where others come from the hub."""
    own: dict[str, Any] = getattr(request, "param", PADDED)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{NAME}.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "models")
    weights = tmp_path / "fetched" / "w.safetensors"
    weights.parent.mkdir()
    model = open_clip.create_model(NAME, load_weights=False)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, NAME, {"own": {"url": "", "hf_hub": "me/own/", **own}})
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: str(weights))
    return own


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Wider than high, so that every way to make it fit gives other pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def expected(photo: Path) -> Tensor:
    """The photo as open_clip itself makes it fit for the tag."""
    _, _, transform = open_clip.create_model_and_transforms(NAME, pretrained="own")
    return transform(Image.open(photo))


def go(out: Path, *settings: str, resume: Resume = Resume.NEVER, name: str | None = NAME, said: Any = None) -> Path:
    named = [] if name is None else [f"model.name={name}"]
    request = configure(
        None, {"data.spec": "generated", "out": str(out)}, [*SETTINGS, *named, *settings], resume=resume
    )
    return train(request, said or Console(quiet=True)).path


@pytest.mark.parametrize("tag", [PADDED, SQUASHED], indirect=True)
def test_every_door_makes_an_image_fit_as_the_tag_says(tag: dict[str, Any], photo: Path, tmp_path: Path) -> None:
    run = go(tmp_path / "run", "model.pretrained=own")
    stored = yaml.safe_load((run / "config.yaml").read_text())["model"]
    assert stored["preprocess"] == {
        key: list(value) if isinstance(value, tuple) else value for key, value in tag.items()
    }
    assert stored["image_size"] == 24
    wanted = expected(photo)
    exported = export(str(run), "open_clip").folder
    _, _, theirs = open_clip.create_model_and_transforms(f"local-dir:{exported}")
    torch.testing.assert_close(theirs(Image.open(photo)), wanted, atol=0, rtol=0)
    for given in (f"{NAME}:own", str(run), str(run / "checkpoints" / "step-00000001"), str(exported)):
        torch.testing.assert_close(load_model(given, torch.device("cpu")).transform(Image.open(photo)), wanted)
    picture = open_embedder(run, None).open(photo)
    torch.testing.assert_close(picture.pixels[0], wanted)
    shown = torch.from_numpy(np.asarray(picture.image).copy()).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(tag[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close((shown - mean) / std, wanted)
    config = json.loads((export(str(run), "safetensors").folder / "config.json").read_text())
    assert {key: config["preprocess_cfg"][key] for key in tag} == stored["preprocess"]
    card = (exported / "README.md").read_text()
    assert f"24 x 24, {tag['resize_mode']}" in card
    assert "bilinear, mean 0.1 0.2 0.3, deviation 0.4 0.5 0.6" in card


@pytest.mark.parametrize("tag", [SQUASHED], indirect=True)
def test_transformers_and_onnx_get_it_too_and_say_where_they_cannot(tag: dict[str, Any], tmp_path: Path) -> None:
    run = go(tmp_path / "run", "model.pretrained=own")
    for form in ("transformers", "onnx"):
        processor = json.loads((export(str(run), form).folder / "preprocessor_config.json").read_text())
        assert (processor["image_mean"], processor["image_std"]) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
        assert (processor["resample"], processor["do_center_crop"]) == (2, False)
    config = json.loads((run / "export" / "onnx" / "config.json").read_text())
    assert config["preprocess_cfg"]["mean"] == [0.1, 0.2, 0.3]
    padded = go(tmp_path / "padded", "model.pretrained=own", "model.preprocess.resize_mode=longest")
    with pytest.raises(ModelError, match=r"cannot resize as this model wants it .resize_mode 'longest'"):
        export(str(padded), "transformers")


@pytest.mark.parametrize("masked", [True, False])
def test_training_and_its_evaluation_see_the_colours_of_the_tag(
    masked: bool, tag: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one grey, which every crop of every image is; what is padded is another, which only evaluation sees."""
    (tmp_path / "grey").mkdir()
    for number in range(8):
        Image.new("RGB", (90, 40), (128, 128, 128)).save(tmp_path / "grey" / f"{number}.png")
        (tmp_path / "grey" / f"{number}.txt").write_text(f"grey number {number}")
    seen: list[tuple[bool, Tensor]] = []
    build = running.build_task

    def watched(*given: Any, **options: Any) -> tuple[BuiltModel, Any]:
        built, task = build(*given, **options)

        def watch(_: Any, pixels: tuple[Tensor]) -> None:
            if not pixels[0].is_meta:  # where the arithmetic is counted, on a copy of the model
                seen.append((task.training, pixels[0]))

        built.model.visual.conv1.register_forward_pre_hook(watch)
        return built, task

    monkeypatch.setattr(running, "build_task", watched)
    ratio = "masker.ratio=0.5" if masked else "masker.name=none"
    grey = f"{tmp_path / 'grey'}"
    go(tmp_path / "run", "model.pretrained=own", "data.samples=8", f"data.spec={grey}", f"evaluate.data={grey}", ratio)
    mean, std = (torch.tensor(tag[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    levels = {name: (level / 255 - mean) / std for name, level in (("grey", 128), ("fill", 77))}
    (trained,) = [pixels for training, pixels in seen if training]
    torch.testing.assert_close(trained, levels["grey"].expand(4, 3, 24, 24))
    (evaluated,) = [pixels for training, pixels in seen if not training]
    torch.testing.assert_close(evaluated[:, :, 12], levels["grey"].expand(8, 3, 1, 24)[:, :, 0])
    torch.testing.assert_close(evaluated[:, :, 0], levels["fill"].expand(8, 3, 1, 24)[:, :, 0])


def test_what_is_given_wins_and_the_rest_is_the_tags(tag: dict[str, Any], tmp_path: Path) -> None:
    given = ("model.preprocess.mean=[0.5, 0.5, 0.5]", "model.preprocess.resize_mode=squash", "model.image_size=40")
    run = go(tmp_path / "run", "model.pretrained=own", *given)
    opened = open_model(find_source(str(run))).preprocess_cfg
    wanted = {**tag, "mean": (0.5, 0.5, 0.5), "resize_mode": "squash", "size": (40, 40)}
    assert {key: opened[key] for key in wanted} == wanted


def test_a_run_that_goes_on_keeps_what_it_was_started_with(
    tag: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the tag is gone by then."""
    run = go(tmp_path / "run", "model.pretrained=own")
    before = yaml.safe_load((run / "config.yaml").read_text())["model"]
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, NAME, {})
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: pytest.fail("fetched again"))
    with (tmp_path / "said").open("w") as file:
        go(run, "optim.steps=2", resume=Resume.ALWAYS, said=Console(file=file, width=500))
    assert yaml.safe_load((run / "config.yaml").read_text())["model"] == before
    said = (tmp_path / "said").read_text()
    assert "Starts from" not in said
    assert "preprocess" not in said


@pytest.mark.parametrize("form", ["run", "checkpoint", "file", "exported", "transformers"])
def test_a_run_from_a_run_or_a_folder_takes_its_architecture_its_size_and_its_looks(
    form: str, tag: dict[str, Any], tmp_path: Path
) -> None:
    first = go(tmp_path / "first", "model.pretrained=own", "model.image_size=32", "model.preprocess.resize_mode=squash")
    place = first if form == "run" else first / "checkpoints" / "step-00000001"
    if form == "file":
        place = place / "open_clip_model.safetensors"
    if form in ("exported", "transformers"):
        place = export(str(first), "open_clip" if form == "exported" else form).folder
    with (tmp_path / "said").open("w") as file:
        second = go(tmp_path / "second", f"model.pretrained={place}", name=None, said=Console(file=file, width=500))
    looks = {
        key: value for key, value in open_model(find_source(str(first))).preprocess_cfg.items() if key != "fill_color"
    }
    opened = open_model(find_source(str(second))).preprocess_cfg
    assert {key: opened[key] for key in looks} == looks
    said = " ".join((tmp_path / "said").read_text().split())
    assert "takes the place of ViT-B-16" in said
    tensors = len(open_model(find_source(str(first))).model.state_dict())
    assert (
        f"Starts from {place}: {tensors} of {tensors} tensors fit. Images: 32 x 32, squash, bilinear, mean 0.1" in said
    )


def test_a_model_in_memory_is_evaluated_as_it_was_built(
    tag: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(api, "run_jobs", lambda subject, *_: seen.append(subject) or api.EvalReport())
    go(tmp_path / "run", "model.pretrained=own")
    pgsclip.evaluate(open_clip.create_model(NAME, pretrained="own"), "demo", device="cpu")
    pgsclip.evaluate(str(tmp_path / "run"), "demo", device="cpu")
    grey = Image.new("RGB", (90, 40), (128, 128, 128))
    torch.testing.assert_close(seen[0].transform(grey), seen[1].transform(grey))
    assert seen[0].transform(grey)[0, 0, 0].item() == pytest.approx((77 / 255 - 0.1) / 0.4)


def test_a_run_of_a_version_that_kept_nothing_looks_at_its_tag(tag: dict[str, Any], tmp_path: Path) -> None:
    run = go(tmp_path / "run", "model.pretrained=own")
    tree = yaml.safe_load((run / "config.yaml").read_text())
    del tree["model"]["preprocess"]
    (run / "config.yaml").write_text(yaml.safe_dump(tree))
    opened = open_model(find_source(str(run))).preprocess_cfg
    assert {key: opened[key] for key in tag} == tag


def test_a_description_that_no_transform_knows_is_a_sentence(tag: dict[str, Any], tmp_path: Path) -> None:
    folder = export(f"{NAME}:own", "open_clip", tmp_path / "out").folder
    described = json.loads((folder / "open_clip_config.json").read_text())
    for name, value in (("resize_mode", "stretch"), ("std", [0.5, 0.0, 0.5]), ("interpolation", "lanczos")):
        wrong = {**described, "preprocess_cfg": {**described["preprocess_cfg"], name: value}}
        (folder / "open_clip_config.json").write_text(json.dumps(wrong))
        with pytest.raises(ModelError, match=rf"out describes its preprocessing with {name} .* which is not known"):
            find_source(str(folder))


def test_a_checkpoint_tells_open_clip_itself_what_it_is_and_at_which_size(tag: dict[str, Any], tmp_path: Path) -> None:
    """Also that of a phase at another size, which the config of the whole run does not tell."""
    phases = "phases=[{steps: 1, lr: 1e-12, image_size: 40}]"
    run = go(tmp_path / "run", "model.pretrained=own", phases)
    for step, side in ((1, 24), (2, 40)):
        folder = run / "checkpoints" / f"step-0000000{step}"
        model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        grey = transform(Image.new("RGB", (90, 40), (128, 128, 128)))
        assert grey.shape == (3, side, side)
        assert grey[0, 0, 0].item() == pytest.approx((77 / 255 - 0.1) / 0.4)
        opened = open_model(find_source(str(folder)))
        assert opened.preprocess_cfg["size"] == (side, side)
        assert opened.source.run == run
        assert opened.source.architecture == NAME
        torch.testing.assert_close(opened.model.encode_image(grey[None]), model.eval().encode_image(grey[None]))
    assert open_model(find_source(str(run))).preprocess_cfg["size"] == (40, 40)
    assert open_embedder(run, None).built.image_tower.image_size == (40, 40)
    (tmp_path / "copied").mkdir()
    for file in (run / "checkpoints" / "step-00000002").iterdir():
        (tmp_path / "copied" / file.name).write_bytes(file.read_bytes())
    alone = open_model(find_source(str(tmp_path / "copied")))
    assert (alone.preprocess_cfg["size"], alone.preprocess_cfg["fill_color"]) == ((40, 40), 77)
