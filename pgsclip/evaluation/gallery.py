"""A few queries of a retrieval set with their best answers, and thumbnails of the images, for the report."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pgsclip.config.defaults import BACKGROUND
from pgsclip.evaluation.datasets import open_set
from pgsclip.evaluation.features import EncodedSet
from pgsclip.evaluation.layouts import EvalSet
from pgsclip.files import write_atomically
from pgsclip.results.result import GALLERY

QUERIES = 5
ANSWERS = 5
_SIDE = 112


def write_gallery(
    found: EvalSet,
    encoded: EncodedSet,
    texts: Tensor,
    image_of_text: list[int],
    captions: list[str],
    result: Path,
    background: str = BACKGROUND,
) -> None:
    """Write `<result>.gallery.json`; the same queries for every model on the same set."""
    scores = texts @ encoded.features.T
    text_rows = _spread(len(captions))
    image_rows = _spread(len(encoded.places))
    to_image = [
        {
            "query": captions[row],
            "answers": [{"image": int(i), "right": int(i) == image_of_text[row]} for i in _best(scores[row])],
        }
        for row in text_rows
    ]
    to_text = [
        {
            "image": row,
            "answers": [
                {"text": captions[int(t)], "right": image_of_text[int(t)] == row} for t in _best(scores[:, row])
            ],
        }
        for row in image_rows
    ]
    wanted = {answer["image"] for entry in to_image for answer in entry["answers"]} | set(image_rows)  # type: ignore[index]
    content = {
        "dataset": found.dataset,
        "text_to_image": to_image,
        "image_to_text": to_text,
        "images": _thumbnails(found, encoded, sorted(wanted), background),
    }
    path = result.with_name(result.name.removesuffix(".json") + GALLERY)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content))


def _thumbnails(found: EvalSet, encoded: EncodedSet, rows: list[int], background: str) -> dict[str, str]:
    places = {encoded.places[row]: row for row in rows}
    opened = open_set(
        found,
        "test",
        _thumbnail,
        batch_size=64,
        workers=0,
        only=set(places),
        collate=lambda items: items,
        background=background,
    )
    return {str(places[place]): jpeg for items in opened.batches for jpeg, _, place in items}  # type: ignore[misc]


def _thumbnail(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return base64.b64encode(content.getvalue()).decode("ascii")


def _best(scores: Tensor) -> list[Any]:
    return torch.topk(scores, min(ANSWERS, len(scores))).indices.tolist()


def _spread(count: int) -> list[int]:
    """Rows spread evenly over the set."""
    number = min(QUERIES, count)
    return [i * count // number for i in range(number)]
