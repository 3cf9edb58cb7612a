"""open_clip's tokenizer is the oracle for the files that are made of it."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
from transformers import AutoTokenizer, CLIPTokenizer

from pgsclip.export.clip_tokenizer import write_tokenizer

CAPTIONS = [
    "a cat", "", "A Photo of TWO dogs, and 23 cats!", "it's the owners' car; they'll see",
    "naïve café — Žluťoučký 東京 🙂",
    "tabs\tand\nlines   and blanks ", "supercalifragilisticexpialidocious " * 5, "x" * 300, "3.14159 #hashtag @name",
]  # fmt: skip


@pytest.mark.parametrize("length", [8, 77])
def test_transformers_reads_the_same_tokens(length: int, tmp_path: Path) -> None:
    ours = open_clip.SimpleTokenizer(context_length=length)
    write_tokenizer(ours, tmp_path, length)
    for kind in (CLIPTokenizer, AutoTokenizer):
        theirs = kind.from_pretrained(tmp_path, local_files_only=True)
        found = theirs(CAPTIONS, padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
        expected = ours(CAPTIONS)
        ends = expected.argmax(dim=1)
        for row, mine, end in zip(found, expected, ends, strict=True):
            assert row[: end + 1].tolist() == mine[: end + 1].tolist()
            assert set(row[end:].tolist()) == {49407}
