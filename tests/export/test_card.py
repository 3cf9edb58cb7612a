from __future__ import annotations

from pathlib import Path

import yaml

from pgsclip.export.export import export

KNOWN = (
    "# my-run",
    "| architecture | pgsclip-export |",
    "| images | 48 x 48, shortest, bicubic, mean 0.481 0.458 0.408, deviation 0.269 0.261 0.276 |",
    "| data | shards/{0..6}.tar |",
    "| masker | pgs, 0.3:0.5 of the patches hidden |",
    "| steps | 20 |",
    "| software | torch 9.9 |",
    "pgsclip train --masker pgs",
    "| zeroshot | cifar10 | acc1 | 25.0% | 10.0% |",
    "smallest cosine 1.0",
)


def test_it_tells_of_the_run_and_of_these_weights(run: Path) -> None:
    folder = export(str(run), "open_clip").folder
    text = (folder / "README.md").read_text()
    for line in KNOWN:
        assert line in text
    assert "75.0%" not in text  # of other weights
    assert f'create_model_and_transforms("local-dir:{folder}")' in text
    heading = yaml.safe_load(text.split("---")[1])
    assert (heading["library_name"], heading["pipeline_tag"]) == ("open_clip", "zero-shot-image-classification")


def test_without_a_run_it_tells_where_the_model_comes_from(run: Path, tmp_path: Path) -> None:
    first = export(str(run), "safetensors", tmp_path / "first").folder
    text = (export(str(first), "open_clip", tmp_path / "second").folder / "README.md").read_text()
    assert "# second" in text
    assert f"exported from `{first}`" in text
    assert "have not been evaluated" in text
    assert "## Training" not in text
