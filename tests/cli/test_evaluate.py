"""All families through the command line, on sets in clip-benchmark's layouts; its functions are the judge."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from clip_benchmark.datasets.builder import build_dataset, image_captions_collate_fn
from clip_benchmark.metrics import (
    image_caption_selection,
    linear_probe,
    zeroshot_classification,
    zeroshot_retrieval,
)
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from pgsclip.evaluation import classifier
from pgsclip.evaluation import evaluate as room

Cli = Callable[..., Any]
leaks = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
"""clip-benchmark's own reading leaves files open."""

CLASSES = ["red", "green", "blue", "grey", "dark thing", "bright thing"]
TEMPLATES = ["a {c}", "one {c} picture", "{c}"]


def picture(number: int, label: int) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 120, (32, 32, 3))
    if label < 3:
        pixels[..., label] += 120
    else:
        pixels += (label - 3) * 60
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def write_split(folder: Path, shards: list[list[tuple[Image.Image, str, bytes]]]) -> None:
    folder.mkdir(parents=True)
    for number, items in enumerate(shards):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for index, (image, extension, content) in enumerate(items):
                add(tar, f"s{index:04d}.png", png(image))
                add(tar, f"s{index:04d}.{extension}", content)
    (folder / "nshards.txt").write_text(f"{len(shards)}\n")


def class_items(start: int, count: int) -> list[tuple[Image.Image, str, bytes]]:
    return [(picture(n, n % 6), "cls", str(n % 6).encode()) for n in range(start, start + count)]


def write_classes(folder: Path) -> None:
    write_split(folder / "test", [class_items(0, 17), class_items(17, 14)])
    write_split(folder / "train", [class_items(100, 40), class_items(140, 23)])
    (folder / "classnames.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES))


def write_captions(folder: Path) -> None:
    words = random.Random(0)
    items = [
        (
            picture(n, n % 6),
            "txt",
            "\n".join(f"{CLASSES[n % 6]} {words.choice(CLASSES)} {k}" for k in range(2)).encode(),
        )
        for n in range(23)
    ]
    write_split(folder / "test", [items])
    (folder / "dataset_type.txt").write_text("retrieval")


def write_sugar_crepe(folder: Path) -> None:
    (folder / "val2017").mkdir(parents=True)
    entries = {}
    for n in range(14):
        image = picture(n, n % 6) if n else picture(n, 0).convert("L")  # COCO has grey images too
        image.save(folder / "val2017" / f"{n}.jpg")
        entries[str(3 * n)] = {
            "filename": f"{n}.jpg", "caption": f"a {CLASSES[n % 6]}", "negative_caption": f"a {CLASSES[(n + 1) % 6]}"
        }  # fmt: skip
    for part in ("swap_att", "add_obj"):
        (folder / f"{part}.json").write_text(json.dumps(entries))


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_classes(root / "wds_shapes")
    write_classes(root / "wds_vtab-cifar10")
    write_captions(root / "wds_captions")
    write_sugar_crepe(root / "sugar_crepe")
    return root


@pytest.fixture
def weights(model: str, tmp_path: Path) -> Path:
    return write_weights(model, tmp_path / "weights.safetensors", seed=1)


def write_weights(model: str, path: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_file(open_clip.create_model(model).state_dict(), path)
    return path


@pytest.fixture
def evaluate(cli: Cli, sets: Path, weights: Path, model: str) -> Cli:
    """`evaluate("zeroshot", "--datasets", "shapes")`."""

    def call(family: str, *options: str, checkpoint: str | None = None) -> Any:
        name = checkpoint or f"{model}:{weights}"
        return cli("eval", family, name, "--eval-root", str(sets), "--device", "cpu", *options)

    return call


def results(folder: str = "eval") -> dict[tuple[str, str], dict[str, Any]]:
    found = [json.loads(p.read_text()) for p in Path(folder).glob("*.json") if not p.name.endswith("gallery.json")]
    return {(one["family"], one["dataset"]): one for one in found}


class Theirs:
    """clip-benchmark as its own command line calls it, in fp32."""

    def __init__(self, model: str, weights: Path, sets: Path) -> None:
        self.model, _, self.transform = open_clip.create_model_and_transforms(model, pretrained=str(weights))
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(model)
        self.sets = sets

    def wds(self, name: str, split: str, task: str) -> Any:
        root = str(self.sets / f"wds_{name}")
        with pytest.warns(UserWarning, match="shardshuffle"):
            return build_dataset(f"wds/{name}", root=root, transform=self.transform, split=split, task=task)

    def zeroshot(self) -> dict[str, float]:
        data = self.wds("shapes", "test", "zeroshot_classification")
        loader = DataLoader(data.batched(8), batch_size=None)
        return zeroshot_classification.evaluate(
            self.model, loader, self.tokenizer, data.classes, data.templates, "cpu", amp=False
        )

    def retrieval(self) -> dict[str, float]:
        loader = DataLoader(self.wds("captions", "test", "zeroshot_retrieval").batched(8), batch_size=None)
        return zeroshot_retrieval.evaluate(
            self.model, loader, self.tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10]
        )

    def probe(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        """Its `evaluate`, in which what is CUDA becomes the CPU."""
        monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
        monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
        splits = [
            [(torch.stack([one[0]]), torch.tensor([one[1]])) for one in self.wds("shapes", s, "linear_probe")]
            for s in ("train", "test")
        ]
        original = torch.Tensor.to
        monkeypatch.setattr(
            torch.Tensor, "to", lambda self, *a, **k: self if a == ("cuda",) else original(self, *a, **k)
        )
        torch.manual_seed(0)
        return linear_probe.evaluate(
            self.model, splits[0], splits[1], -1, 512, 0, 0.1, 10, "m", 0, str(folder), "cuda", amp=False
        )

    def selection(self) -> dict[str, float]:
        def transform(image: Image.Image) -> torch.Tensor:
            return self.transform(image.convert("RGB"))

        data = build_dataset(
            "sugar_crepe/swap_att",
            root=str(self.sets / "sugar_crepe"),
            transform=transform,
            task="image_caption_selection",
        )
        loader = DataLoader(data, batch_size=5, collate_fn=image_captions_collate_fn)
        return image_caption_selection.evaluate(self.model, loader, self.tokenizer, "cpu", amp=False)


@pytest.fixture
def theirs(model: str, weights: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    def accuracy(output: torch.Tensor, target: torch.Tensor, topk: tuple[int, ...] = (1,)) -> list[float]:
        """As written there, with a scalar instead of a one-element array, which numpy 2.4 does not convert."""
        correct = output.topk(max(topk), 1, True, True)[1].t().eq(target.view(1, -1))
        return [float(correct[:k].reshape(-1).float().sum()) / len(target) for k in topk]

    for module in (zeroshot_classification, linear_probe):
        monkeypatch.setattr(module, "accuracy", accuracy)
    return Theirs(model, weights, sets)


@leaks
def test_zero_shot_and_robustness_equal_clip_benchmark(evaluate: Cli, theirs: Theirs) -> None:
    expected = theirs.zeroshot()
    for family in ("zeroshot", "robustness"):
        said = evaluate(family, "--datasets", "wds/shapes")
        assert said.code == 0, said.err
        found = results()[(family, "shapes")]
        assert found["metrics"] == pytest.approx(expected, abs=1e-6)
        assert (found["samples"], found["classes"], found["chance"]["acc1"]) == (31, 6, pytest.approx(1 / 6))
        assert f"{family} shapes: acc1 {expected['acc1']:.1%} (chance 16.7%)" in said.out


@leaks
def test_retrieval_equals_clip_benchmark_and_keeps_a_gallery(evaluate: Cli, theirs: Theirs) -> None:
    said = evaluate("retrieval", "--datasets", "captions")
    assert said.code == 0, said.err
    found = results()[("retrieval", "captions")]
    assert found["metrics"] == pytest.approx(theirs.retrieval(), abs=1e-6)
    assert found["chance"]["image_retrieval_recall@5"] == pytest.approx(5 / 23)
    assert found["chance"]["text_retrieval_recall@1"] == pytest.approx(2 / 46)
    (path,) = Path("eval").glob("*.gallery.json")
    gallery = json.loads(path.read_text())
    assert len(gallery["text_to_image"]) == len(gallery["image_to_text"]) == 5
    shown = {answer["image"] for entry in gallery["text_to_image"] for answer in entry["answers"]}
    assert {str(number) for number in shown} <= set(gallery["images"])


@leaks
@pytest.mark.filterwarnings("ignore:.*pin_memory", "ignore:User provided device_type", "ignore:Precision is ill")
def test_linear_probe_equals_clip_benchmark(
    evaluate: Cli, theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = evaluate("linear-probe", "--datasets", "shapes")
    assert said.code == 0, said.err
    found = results()[("linear-probe", "shapes")]
    with monkeypatch.context() as patch:
        expected = theirs.probe(tmp_path / "features", patch)
    same = {name: expected[name] for name in ("lp_acc1", "lp_acc5", "lp_mean_per_class_recall")}
    assert found["metrics"] == pytest.approx(same, abs=1e-6)
    assert found["metrics"]["lp_acc1"] > 0.4  # it learns; chance is 1/6
    assert found["settings"]["probe"] == {"lr": 0.1, "epochs": 10, "batch_size": 512, "seed": 0}


@leaks
def test_compositionality_equals_clip_benchmark(evaluate: Cli, theirs: Theirs) -> None:
    said = evaluate("compositionality", "--datasets", "sugar_crepe/swap_att")
    assert said.code == 0, said.err
    found = results()[("compositionality", "sugar_crepe/swap_att")]
    assert found["metrics"] == {"text_acc": pytest.approx(theirs.selection()["text_acc"], abs=1e-6)}


def test_all_sorts_named_sets_into_their_families(evaluate: Cli) -> None:
    said = evaluate("all", "--datasets", "wds/captions,shapes,sugar_crepe/add_obj,vtab/cifar10", "--json", "all.json")
    assert said.code == 0, said.err
    assert set(results()) == {
        ("zeroshot", "shapes"), ("zeroshot", "cifar10"), ("retrieval", "captions"), ("linear-probe", "cifar10"),
        ("compositionality", "sugar_crepe/add_obj"),
    }  # fmt: skip
    assert {(one["family"], one["dataset"]) for one in json.loads(Path("all.json").read_text())} == set(results())


def test_the_paper_s_suite_names_what_is_missing_and_does_the_rest(evaluate: Cli, sets: Path) -> None:
    said = evaluate("all")
    assert said.code == 0, said.err
    assert set(results()) == {
        ("zeroshot", "cifar10"), ("linear-probe", "cifar10"),
        ("compositionality", "sugar_crepe/swap_att"), ("compositionality", "sugar_crepe/add_obj"),
    }  # fmt: skip
    assert said.out.count("left out: ") == 32
    assert "left out: zeroshot food101, which is not there\n" in said.out
    assert max(map(len, said.out.splitlines())) < 300, "a line each, and how to get them is told once"
    assert "32 sets were left out" in said.err
    assert f"`pgsclip data eval-sets --eval-root {sets}`" in said.err


def test_nothing_to_evaluate_is_a_sentence(evaluate: Cli) -> None:
    said = evaluate("retrieval", "--datasets", "wds/nothing")
    assert said.code == 2
    assert "None of the sets could be evaluated." in said.err
    assert "The set nothing is not in" in said.err


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sets that were read, in turn."""
    read: list[str] = []
    original = room.encode_images

    def count(batches: Any, *rest: Any) -> Any:
        read.append(batches._found.dataset)
        return original(batches, *rest)

    monkeypatch.setattr(room, "encode_images", count)
    return read


def test_what_is_done_is_not_computed_again_but_overwritten_weights_are(
    evaluate: Cli, counted: list[str], model: str, weights: Path
) -> None:
    first = evaluate("all", "--datasets", "shapes,captions")
    assert counted == ["shapes", "captions"]
    second = evaluate("all", "--datasets", "shapes,captions")
    assert counted == ["shapes", "captions"]
    assert "2 of 2 results were there already" in second.out
    assert "there already" not in first.out
    write_weights(model, weights, seed=2)
    evaluate("all", "--datasets", "shapes,captions")
    assert counted == ["shapes", "captions"] * 2
    assert len(list(Path("eval").glob("*captions*[0-9a-f].json"))) == 2
    assert len({json.loads(path.read_text())["weights"] for path in Path("eval").glob("zeroshot-*.json")}) == 2


def test_a_copy_of_the_weights_is_the_same_model(evaluate: Cli, counted: list[str], model: str, weights: Path) -> None:
    evaluate("zeroshot", "--datasets", "shapes")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in load_file(weights).items()}}, "released.pt")
    evaluate("zeroshot", "--datasets", "shapes", checkpoint=f"{model}:released.pt")
    assert counted == ["shapes"]


def test_a_stopped_evaluation_goes_on_where_it_was(
    evaluate: Cli, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pgsclip.evaluation.metrics.retrieval", stop)
        said = evaluate("all", "--datasets", "shapes,captions")
    assert (said.code, counted) == (130, ["shapes", "captions"])
    evaluate("all", "--datasets", "shapes,captions")
    assert counted == ["shapes", "captions", "captions"]


def test_classifiers_are_read_back_and_changed_classes_are_encoded_anew(
    evaluate: Cli, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = classifier.build_classifier

    def build(*arguments: Any) -> Any:
        asked.append(1)
        return original(*arguments)

    monkeypatch.setattr(classifier, "build_classifier", build)
    evaluate("zeroshot", "--datasets", "shapes")
    evaluate("robustness", "--datasets", "shapes")
    assert len(asked) == 1
    (path,) = Path("eval/classifiers").iterdir()
    path.write_bytes(b"damaged")
    for result in Path("eval").glob("robustness*.json"):
        result.unlink()
    assert evaluate("robustness", "--datasets", "shapes").code == 0
    assert len(asked) == 2


def test_a_run_folder_is_a_checkpoint(train: Cli, cli: Cli, sets: Path) -> None:
    train("--masker", "random")
    said = cli("eval", "zeroshot", "run", "--eval-root", str(sets), "--datasets", "shapes", "--device", "cpu")
    assert said.code == 0, said.err
    assert "Results: run/eval" in said.out
    (one,) = results("run/eval").values()
    for again in ("run/checkpoints/step-00000003", "run/checkpoints/step-00000003/open_clip_model.safetensors"):
        said = cli("eval", "zeroshot", again, "--eval-root", str(sets), "--datasets", "shapes", "--out", "run/eval")
        assert "1 of 1 results were there already" in said.out, said.err
    assert one["model"] == "run"


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        ("nothing", r"There is no checkpoint 'nothing', nor an open_clip model 'nothing'\."),
        ("ViT-B-61", r"Did you mean 'ViT-B-16'\?"),
        ("ViT-B-16", r"ViT-B-16 alone has no weights\. Give ViT-B-16:FILE, or ViT-B-16:TAG with a tag of openai"),
        ("ViT-B-16:openia", r"no pretrained weights of that tag for ViT-B-16\. Did you mean 'openai'\?"),
        ("pgsclip-smoke:gone.pt", r"There is no weights file gone\.pt"),
        ("local-dir:gone", r"There is no folder gone\."),
        (".", r"\. is neither a run folder \(no config\.yaml\) nor a model folder"),
    ],
)
def test_checkpoints_that_are_none_are_sentences(evaluate: Cli, checkpoint: str, words: str) -> None:
    import re

    said = evaluate("zeroshot", "--datasets", "shapes", checkpoint=checkpoint)
    assert said.code == 2
    assert re.search(words, said.err), said.err


def test_a_file_alone_asks_for_its_model(evaluate: Cli, weights: Path) -> None:
    said = evaluate("zeroshot", checkpoint=str(weights))
    assert f"{weights} does not say which model it belongs to. Give MODEL:{weights}" in said.err


def test_pretrained_weights_are_not_fetched_without_being_asked(
    evaluate: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.expanduser", lambda self: tmp_path)
    said = evaluate("zeroshot", "--datasets", "shapes", checkpoint="ViT-S-32-alt:openai")
    assert said.code == 2
    said = evaluate("zeroshot", "--datasets", "shapes", checkpoint="RN50:cc12m")
    assert said.code == 2
    assert "Without --download nothing is fetched" in said.err


def test_no_checkpoint_is_a_sentence(cli: Cli) -> None:
    said = cli("eval", "all")
    assert said.code == 2
    assert "There is no checkpoint to evaluate." in said.err
    assert "--demo evaluate the untrained smoke model" in said.err


def test_the_demo_needs_nothing(cli: Cli) -> None:
    said = cli("eval", "all", "--demo", "--device", "cpu")
    assert said.code == 0, said.err
    assert {family for family, _ in results()} == {
        "zeroshot", "retrieval", "linear-probe", "robustness", "compositionality"
    }  # fmt: skip


def test_shards_cannot_bring_code_along(evaluate: Cli, tmp_path: Path, sets: Path, cli: Cli, model: str) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    import pickle

    root = tmp_path / "evil"
    write_classes(root / "wds_evil")
    with tarfile.open(root / "wds_evil/test/0.tar", "w") as tar:
        add(tar, "s0.png", png(picture(0, 0)))
        add(tar, "s0.cls", b"0")
        add(tar, "s0.pyd", pickle.dumps(Payload()))
    weights = write_weights(model, tmp_path / "w.safetensors", 1)
    said = cli("eval", "zeroshot", f"{model}:{weights}", "--eval-root", str(root), "--datasets", "evil")
    assert said.code == 0, said.err
    assert not (tmp_path / "ran").exists()


def damage_tar(folder: Path) -> None:
    (folder / "wds_shapes/test/1.tar").write_bytes(b"no tar at all" * 100)


def empty_shard(folder: Path) -> None:
    (folder / "wds_shapes/test/1.tar").write_bytes(b"")


def no_classes(folder: Path) -> None:
    (folder / "wds_shapes/classnames.txt").unlink()


def odd_count(folder: Path) -> None:
    (folder / "wds_shapes/test/nshards.txt").write_text("two")


def broken_image(folder: Path) -> None:
    with tarfile.open(folder / "wds_shapes/test/0.tar", "w") as tar:
        add(tar, "s0.png", b"no picture")
        add(tar, "s0.cls", b"0")


def too_few_names(folder: Path) -> None:
    (folder / "wds_shapes/classnames.txt").write_text("red\ngreen\n")


def blank_names(folder: Path) -> None:
    (folder / "wds_shapes/classnames.txt").write_text(" \n\n")


def nameless_template(folder: Path) -> None:
    (folder / "wds_shapes/zeroshot_classification_templates.txt").write_text("a {c}\na {name}\n")


def no_text(folder: Path) -> None:
    (folder / "wds_shapes/classnames.txt").write_bytes(b"\xff\xfe\x00")


def countless_shards(folder: Path) -> None:
    (folder / "wds_shapes/test/nshards.txt").write_text("9" * 18)


def no_samples(folder: Path) -> None:
    for number in range(2):
        tarfile.open(folder / f"wds_shapes/test/{number}.tar", "w").close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (too_few_names, "has labels for classes 0 to 5, and its classnames.txt names 2"),
        (blank_names, "classnames.txt holds only blank lines."),
        (nameless_template, "has the template 'a {name}'; expected one a line with {c} where the name of the class"),
        (no_text, "classnames.txt is not text in UTF-8."),
        (countless_shards, "is not whole: test/2.tar is missing."),
        (no_samples, "holds no sample in its test split."),
        (damage_tar, "The test split of the set shapes in "),
        (empty_shard, "is not whole: test/1.tar is empty."),
        (no_classes, "is not whole: classnames.txt is missing."),
        (odd_count, "nshards.txt holds 'two'; expected the number of shards"),
        (broken_image, "cannot be read to its end: "),
    ],
)
def test_damaged_sets_are_sentences(
    cli: Cli, model: str, weights: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    write_classes(tmp_path / "sets/wds_shapes")
    damage(tmp_path / "sets")
    said = cli("eval", "zeroshot", f"{model}:{weights}", "--eval-root", "sets", "--datasets", "shapes")
    assert said.code == 2
    assert words in said.err


def test_captions_that_are_all_empty_are_a_sentence(cli: Cli, model: str, weights: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "sets/wds_mute/test", [[(picture(n, 0), "txt", b"") for n in range(3)]])
    (tmp_path / "sets/wds_mute/dataset_type.txt").write_text("retrieval")
    said = cli("eval", "retrieval", f"{model}:{weights}", "--eval-root", "sets", "--datasets", "mute")
    assert said.code == 2
    assert "mute in sets/wds_mute has images but not one caption" in said.err


def write_karpathy(root: Path) -> None:
    """Flickr8k and COCO captions where and as clip-benchmark's own annotation files describe them."""
    captions = [[f"{CLASSES[n % 6]}, thing {k}" for k in range(2 + n % 2)] for n in range(13)]
    (root / "flickr8k").mkdir(parents=True)
    lines = [f"{n}_x.jpg,{text}" for n, texts in enumerate(captions) for text in texts]
    (root / "flickr8k/flickr8k_test_karpathy.txt").write_text("\n".join(["image,caption", *lines]))
    (root / "mscoco_captions/val2014").mkdir(parents=True)
    for n in range(13):
        picture(n, n % 6).save(root / f"flickr8k/{n}_x.jpg")
        picture(n, n % 6).save(root / f"mscoco_captions/val2014/{n}.jpg")
    texts = [(n, text) for n, texts in enumerate(captions) for text in texts]
    annotations = {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(13)],
        "annotations": [{"id": i, "image_id": n, "caption": text} for i, (n, text) in enumerate(texts)],
    }
    (root / "mscoco_captions/coco_test_karpathy.json").write_text(json.dumps(annotations))


def test_flickr_and_coco_in_karpathy_s_form_equal_clip_benchmark(
    cli: Cli, theirs: Theirs, model: str, weights: Path, tmp_path: Path
) -> None:
    write_karpathy(tmp_path / "sets")
    names = ("flickr8k", "mscoco_captions")
    said = cli("eval", "retrieval", f"{model}:{weights}", "--eval-root", "sets", "--datasets", ",".join(names))
    assert said.code == 0, said.err
    for name in names:
        data = build_dataset(
            name, root=f"sets/{name}", transform=theirs.transform, split="test", task="zeroshot_retrieval"
        )
        loader = DataLoader(data, batch_size=5, collate_fn=image_captions_collate_fn)
        expected = zeroshot_retrieval.evaluate(
            theirs.model, loader, theirs.tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10]
        )
        assert results()["retrieval", name]["metrics"] == pytest.approx(expected, abs=1e-6)
        assert results()["retrieval", name]["samples"] == 13


def test_annotations_of_no_bytes_are_told_from_missing_ones(
    cli: Cli, model: str, weights: Path, tmp_path: Path
) -> None:
    write_sugar_crepe(tmp_path / "sugar_crepe")
    (tmp_path / "sugar_crepe/swap_att.json").write_bytes(b"")
    said = cli(
        "eval", "compositionality", f"{model}:{weights}", "--eval-root", ".", "--datasets", "sugar_crepe/swap_att"
    )
    assert said.code == 2
    assert "swap_att.json has no bytes" in said.err


def test_a_set_of_another_family_is_refused(evaluate: Cli) -> None:
    said = evaluate("zeroshot", "--datasets", "captions")
    assert said.code == 2
    assert "its dataset_type.txt says retrieval" in said.err


def test_eval_sets_lists_what_is_there_and_how_to_get_the_rest(cli: Cli, sets: Path) -> None:
    said = cli("data", "eval-sets", "--eval-root", str(sets))
    assert said.code == 0
    lines: Iterator[str] = iter(said.out.splitlines())
    assert next(lines) == "zeroshot"
    assert any("cifar10 " in line and "MiB" in line and "train and test, 2 test shards" in line for line in lines)
    assert "shapes " in said.out
    assert "huggingface.co/datasets/clip-benchmark/wds_food101" in said.out
    assert "are missing in" in said.out


def test_a_suite_is_evaluated_while_a_run_goes_on(train: Cli, sets: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("shapes\ncaptions\nsugar_crepe/swap_att\n")
    said = train(
        "--masker", "random", "evaluate.suite=mine.txt", f"evaluate.eval_root={sets}", "evaluate.every_steps=2"
    )  # fmt: skip
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    found = [row for row in rows if "eval/mine/zeroshot/shapes/acc1" in row]
    assert [row["step"] for row in found] == [2, 3]
    assert "eval/mine/retrieval/captions/text_retrieval_recall@1" in found[0]
    assert "eval/mine/compositionality/sugar_crepe/swap_att/text_acc" in found[0]
    assert "suite mine, 3 sets: zeroshot shapes" in said.out
