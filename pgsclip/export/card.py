"""The model card of an exported model, written from its run: data, recipe, masker, results, command, how to load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.evaluation.loaded_model import weights_hash
from pgsclip.export.formats import Format
from pgsclip.export.parity import Parity
from pgsclip.models.description import LOCAL
from pgsclip.models.opening import Opened
from pgsclip.models.preprocessing import describe
from pgsclip.models.source import HUB
from pgsclip.results.result import Result, load_results
from pgsclip.results.suites import FAMILIES, MAIN_METRIC
from pgsclip.version import __version__

_TAGS = ("clip", "pgsclip", "zero-shot-image-classification", "image-text-retrieval")


def write_card(opened: Opened, given: str, form: Format, parity: Parity, folder: Path, place: str) -> None:
    """`README.md`, with the heading that the hub reads.

    Args:
        given: the checkpoint as the user named it.
        place: what a reader calls the folder.
    """
    heading = {"library_name": form.library_name, "pipeline_tag": "zero-shot-image-classification", "tags": list(_TAGS)}
    run = opened.source.run
    parts = [
        f"---\n{yaml.safe_dump(heading, sort_keys=False)}---\n",
        f"# {(Path(place) if run is None else run.resolve()).name}\n",
        *(_origin(opened, given) if run is None else _training(opened, run)),
        *_results(opened, run),
        "## How to load it\n",
        f"```python\n{_usage(form, place)}\n```\n",
        f"`pgsclip eval all {place} --eval-root DIR` evaluates it.\n" if _is_ours_to_read(form, place) else "",
        f"Exported by pgsclip {__version__}; compared with the original on generated pictures and captions: "
        f"{parity.describe()}.\n",
    ]
    (folder / "README.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")


def _usage(form: Format, place: str) -> str:
    """On the hub, open_clip calls a model otherwise than in a folder."""
    usage = form.usage.replace(LOCAL, "") if place.startswith(HUB) else form.usage
    return usage.replace("FOLDER", place)


def _is_ours_to_read(form: Format, place: str) -> bool:
    return form.name != "onnx" and not place.startswith(HUB)


def _origin(opened: Opened, given: str) -> list[str]:
    images = describe(opened.preprocess_cfg)
    return [f"A CLIP model ({opened.source.architecture}), exported from `{given}`. Images: {images}.\n"]


def _training(opened: Opened, run: Path) -> list[str]:
    config = check(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) or {})
    environment = _environment(run)
    rows = {
        "architecture": config.model.name,
        "images": describe(opened.preprocess_cfg),
        "weights to start from": config.model.pretrained or "none",
        "data": config.data.spec,
        "recipe": config.recipe or "none",
        "masker": _masker(config),
        "captions": "whole" if config.text.hides_nothing else config.text.masker,
        "loss": config.loss.name,
        "steps": _steps(opened, config),
        "batch size": config.data.batch_size,
        "learning rate": config.optim.lr,
        "seed": config.seed,
        "software": ", ".join(
            f"{name} {number}"
            for name, number in environment.get("packages", {}).items()
            if name in ("pgsclip", "torch", "open_clip_torch")
        ),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value not in ("", None))
    command = environment.get("command")
    return [
        "A CLIP model, trained while its image encoder saw only a part of the patches.\n",
        f"## Training\n\n| | |\n|---|---|\n{table}\n",
        f"```\n{command}\n```\n" if command else "",
        "Every setting is in the `config.yaml` of the run.\n",
    ]


def _masker(config: RunConfig) -> str:
    if config.masker.hides_nothing:
        return "none, every patch was seen"
    params = f", {json.dumps(config.masker.params)}" if config.masker.params else ""
    return f"{config.masker.name}, {config.masker.ratio} of the patches hidden{params}"


def _steps(opened: Opened, config: RunConfig) -> str:
    """Of the checkpoint, whose folder says it."""
    folder = opened.source.file.parent.name if opened.source.file else ""
    done = folder.removeprefix("step-").lstrip("0")
    return f"{int(done):,}" if done.isdigit() else str(config.optim.steps or f"{config.optim.epochs} epochs")


def _results(opened: Opened, run: Path | None) -> list[str]:
    """What `pgsclip eval` found for these very weights."""
    folder = (run or Path()) / "eval"
    own: list[Result] = []
    if run is not None and folder.is_dir():
        weights = weights_hash(opened.model)
        own = [result for result in load_results(folder) if result.weights == weights]
    if not own:
        return ["## Results\n", "These weights have not been evaluated.\n"]
    lines = ["| task | set | metric | value | chance |", "|---|---|---|---:|---:|"]
    for result in sorted(own, key=lambda one: (FAMILIES.index(one.family), one.dataset)):
        metric = MAIN_METRIC[result.family]
        for name in [metric, *(other for other in result.metrics if "retrieval" in other and other != metric)]:
            chance = f"{result.chance[name]:.1%}" if name in result.chance else ""
            lines.append(f"| {result.family} | {result.dataset} | {name} | {result.metrics[name]:.1%} | {chance} |")
    return ["## Results\n", "By `pgsclip eval`, all patches seen.\n", "\n".join(lines) + "\n"]


def _environment(run: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
