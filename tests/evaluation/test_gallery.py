from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import torch
from PIL import Image

from pgsclip.evaluation.demo import write_shards
from pgsclip.evaluation.features import EncodedSet
from pgsclip.evaluation.gallery import ANSWERS, write_gallery
from pgsclip.evaluation.layouts import locate
from pgsclip.results.suites import Job


def test_queries_have_their_best_answers_and_thumbnails(tmp_path: Path) -> None:
    items = [(Image.new("RGB", (300, 150), (20 * n, 0, 0)), "txt", f"picture {n}") for n in range(9)]
    write_shards(tmp_path / "wds_reds", "test", items, 2)
    (tmp_path / "wds_reds/dataset_type.txt").write_text("retrieval")
    found = locate(Job("retrieval", "reds"), tmp_path)
    places = [(n % 2, n // 2) for n in range(9)]
    features = torch.eye(9)
    path = tmp_path / "out/retrieval-reds-x.json"
    captions = [f"picture {n}" for n in range(9)]
    write_gallery(
        found, EncodedSet(features, [[c] for c in captions], places), features, list(range(9)), captions, path
    )
    content = json.loads(path.with_name("retrieval-reds-x.gallery.json").read_text())
    for entry in content["text_to_image"]:
        assert len(entry["answers"]) == ANSWERS
        assert entry["answers"][0]["right"]
        assert entry["query"] == f"picture {entry['answers'][0]['image']}"
        assert not any(answer["right"] for answer in entry["answers"][1:])
    for entry in content["image_to_text"]:
        assert entry["answers"][0] == {"text": f"picture {entry['image']}", "right": True}
    for number, jpeg in content["images"].items():
        image = Image.open(io.BytesIO(base64.b64decode(jpeg)))
        assert max(image.size) == 112
        assert abs(image.getpixel((5, 5))[0] - 20 * int(number)) < 8
