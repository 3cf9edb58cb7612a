"""The two main jobs as functions: `pgsclip.train(config)` and `pgsclip.evaluate(model, suite)`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import open_clip
import torch
from rich.console import Console
from torch import nn

from pgsclip.config.defaults import BACKGROUND, EVAL_BATCH_SIZE
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError, ModelError
from pgsclip.evaluation.demo import write_demo_sets
from pgsclip.evaluation.evaluate import EvalOptions, EvalReport, require_results
from pgsclip.evaluation.evaluate import evaluate as run_jobs
from pgsclip.evaluation.layouts import find_jobs
from pgsclip.evaluation.loaded_model import LoadedModel, as_loaded_model, load_model
from pgsclip.launchers import read_world
from pgsclip.models.build import Tokenizer
from pgsclip.models.opening import Opened
from pgsclip.models.source import ModelRef, find_source
from pgsclip.results.suites import FAMILIES
from pgsclip.training.assemble import open_device
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import Outcome
from pgsclip.training.run import train as run_training


def train(
    config: RunConfig | Mapping[str, Any] | str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: bool | Literal["auto"] = False,
    quiet: bool = False,
) -> Outcome:
    """Train as `pgsclip train` does, in this process.

    Args:
        config: the name of a recipe, a YAML file, sections as in one (`{"model": {"name": "ViT-B-16"}}`), or a
            RunConfig; the smoke recipe when neither this nor `data.spec` is given.
        settings: more, by dotted name: `{"masker.name": "pgs", "optim.steps": 100}`.
        out: the run folder; `runs/...` when not given.
        resume: go on with the run in `out`; "auto" starts it where there is none.
        quiet: say nothing.

    Returns:
        `path` of the run folder, `checkpoint`, `steps`, and `findings` of the last evaluation as sentences.

    Raises:
        PgsclipError: any mistake of configuration, data or numbers, as a sentence. UnfinishedError: a signal asked the
            run to stop, and it saved itself.
    """
    if isinstance(config, RunConfig):
        config = config.model_dump(mode="json", exclude_unset=True)
    elif isinstance(config, Path):
        config = str(config)
    elif config is None and "data.spec" in (settings or {}):
        config = {}  # own data: not the smoke recipe
    options = {} if out is None else {"out": str(out)}
    how = Resume.AUTO if resume == "auto" else Resume.ALWAYS if resume else Resume.NEVER
    return run_training(configure(config, options, list((settings or {}).items()), resume=how), Console(quiet=quiet))


def evaluate(
    model: str | Path | nn.Module,
    suite: str = "paper",
    *,
    families: Sequence[str] = FAMILIES,
    datasets: Sequence[str] = (),
    eval_root: str | Path = "data",
    out: str | Path | None = None,
    tokenizer: Tokenizer | None = None,
    batch_size: int = EVAL_BATCH_SIZE,
    workers: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    background: str = BACKGROUND,
    on_message: Callable[[str], None] | None = None,
    data_root: str | Path | None = None,
) -> EvalReport:
    """Evaluate as `pgsclip eval` does, in this process. All patches are seen.

    Args:
        model: anything that `pgsclip eval` takes (a run, an exported folder, `ViT-B-32:openai`), or a model of
            open_clip in memory, which is left in the mode that it was in.
        suite: `paper`, `demo` (generated sets), or a file that names one set a line.
        families: of tasks, such as `["zeroshot", "retrieval"]`.
        datasets: these sets instead of the suite's.
        eval_root: folder of the sets, each as `wds_NAME` or `NAME`.
        out: folder of results, in which what is there already is not computed again; nothing is written without it.
        tokenizer: of a model in memory that does not read CLIP's own vocabulary.
        device: auto, cpu, cuda or mps.
        precision: fp32, or amp (autocast).
        background: colour that shows where an image is transparent, by name or as `#rrggbb`.
        on_message: called with each result as a sentence, such as `print`; also with the damaged checkpoints of a run
            that were passed over.
        data_root: the former name of `eval_root`, taken with a warning.

    Returns:
        `results`, each with `dataset`, `family` and `metrics`; `missing`, a sentence for each set that is not there.

    Raises:
        PgsclipError: as a sentence; also where not one set is there.
    """
    if data_root is not None:
        warnings.warn("data_root is called eval_root now.", FutureWarning, stacklevel=2)
        eval_root = data_root
    if precision not in ("fp32", "amp"):
        raise ConfigError(f"precision {precision!r} is not one of fp32 and amp.")
    target = open_device(device, read_world())
    say = on_message or (lambda line: None)
    with ExitStack() as around:
        folder = None if out is None else Path(out)
        root = _write_demo(folder, around) if suite == "demo" else Path(eval_root)
        if isinstance(model, nn.Module):
            around.callback(model.train, model.training)
        loaded = _load(model, tokenizer, target, precision, say)
        jobs = find_jobs(families, suite, datasets, root)
        options = EvalOptions(root, folder, batch_size, workers, precision, background, command="pgsclip.evaluate")
        report = run_jobs(loaded, jobs, options, say, lambda name, done: None)
    require_results(report)
    return report


def _write_demo(folder: Path | None, around: ExitStack) -> Path:
    """Generate the demo's sets in the folder of results, or in one that goes when all is done."""
    root = (folder or Path(around.enter_context(TemporaryDirectory()))) / "demo-sets"
    write_demo_sets(root)
    return root


def _load(
    model: str | Path | nn.Module,
    tokenizer: Tokenizer | None,
    device: torch.device,
    precision: str,
    say: Callable[[str], None],
) -> LoadedModel:
    if isinstance(model, nn.Module):
        return as_loaded_model("model in memory", _in_memory(model, tokenizer), device, precision)
    source = find_source(str(model))
    if source.finding:
        say(source.finding)
    return load_model(source, device, precision=precision)


def _in_memory(model: nn.Module, tokenizer: Tokenizer | None) -> Opened:
    kind: Any = model
    if not isinstance(model, open_clip.CLIP | open_clip.CustomTextCLIP):
        raise ModelError(
            f"A model in memory must be one of open_clip (CLIP or CustomTextCLIP), and this is a "
            f"{type(model).__name__}. Save it, and give the folder: that of a transformers.CLIPModel is read."
        )
    if tokenizer is None:
        if kind.vocab_size != 49408:
            raise ModelError(
                f"This model reads a vocabulary of {kind.vocab_size} tokens, not CLIP's own of 49408: give tokenizer=, "
                f"such as open_clip.get_tokenizer(NAME)."
            )
        tokenizer = open_clip.SimpleTokenizer(context_length=kind.context_length)
    preprocess: dict[str, Any] = dict(open_clip.get_model_preprocess_cfg(model))
    return Opened(ModelRef("open_clip"), model.eval(), tokenizer, {}, preprocess)
