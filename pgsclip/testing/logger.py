"""The contract of loggers as one call, for authors of plugins.

Every failed check is an AssertionError whose message says what to change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgsclip.config.params import PluginParams
from pgsclip.loggers.contract import Row, RunInfo

ROWS: tuple[Row, ...] = (
    {"step": 10, "samples": 640, "epoch": 0.1, "loss": 4.1, "acc1": 0.02, "lr": 1e-3, "loss/clip": 4.0},
    {"step": 20, "samples": 1280, "epoch": 0.2, "loss": float("nan"), "acc1": 0.04, "lr": 1e-3},
    {"step": 20, "eval/flowers/acc1": 0.5, "eval/flowers/note": "of 10", "eval/flowers/auc": None},
)
"""What a run sends: a row per log step, whose figures may be no numbers, and rows of evaluations."""


def check_logger(kind: type[Any], folder: Path, params: PluginParams | None = None) -> None:
    """Hold a logger against the whole contract.

    Args:
        kind: the class.
        folder: an empty folder, such as pytest's `tmp_path`.
        params: `kind.Params()` when not given.

    Raises:
        AssertionError: with what is wrong and what to do about it.
    """
    model = getattr(kind, "Params", None)
    assert isinstance(model, type), "Declare `Params`, a class derived from PluginParams, on the logger's class."
    assert issubclass(model, PluginParams), f"Params must derive from PluginParams, not {model.__mro__[1].__name__}."
    undocumented = [name for name, field in model.model_fields.items() if not field.description]
    assert not undocumented, f"Write a docstring under these parameters, it is their help: {undocumented}."
    assert (kind.__doc__ or "").strip(), "Write a docstring on the logger's class, `pgsclip plugins` shows it."
    for method in ("log", "close"):
        assert callable(getattr(kind, method, None)), f"Write the method `{method}`."
    own = {"config.yaml": "seed: 0\n", "metrics.jsonl": '{"step": 10}\n'}
    for name, content in own.items():
        (folder / name).write_text(content)
    params = model() if params is None else params
    first = kind(params, RunInfo(folder, {"seed": 0}, 0))
    for row in ROWS:
        before = dict(row)
        first.log(row)
        assert repr(dict(row)) == repr(before), "The logger writes into the row; work on a copy."
    first.close()
    again = kind(params, RunInfo(folder, {"seed": 0}, 10))  # a run that goes on from step 10 in the same folder
    again.log(ROWS[1])
    again.close()
    unused = kind(params, RunInfo(folder, {"seed": 0}, 20))  # one that ends before it logs
    unused.close()
    for name, content in own.items():
        assert (folder / name).read_text() == content, f"The logger writes to {name}, which belongs to the run."
