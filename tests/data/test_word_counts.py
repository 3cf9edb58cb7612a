from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import GeneratedSource
from pgsclip.data.spec import open_source
from pgsclip.data.word_counts import word_counts

WORDS = ["a", "red", "dog", "cat", "on", "grass"]
START, END = 90, 91


class Tokens:
    """One id per word from 1, start 90, end 91; remembers how often it was asked."""

    calls = 0

    def __call__(self, captions: Sequence[str]) -> Tensor:
        self.calls += 1
        texts = torch.zeros(len(captions), 8, dtype=torch.int64)
        for row, caption in zip(texts, captions, strict=True):
            ids = [START, *(WORDS.index(word) + 1 for word in caption.split()), END]
            row[: len(ids)] = torch.tensor(ids)
        return texts


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["a red dog", "a cat on grass", "dog"]
    text = "filepath\ttitle\n" + "".join(f"{number}.jpg\t{line}\n" for number, line in enumerate(lines))
    (tmp_path / "pairs.tsv").write_text(text)
    return tmp_path / "pairs.tsv"


def _count(spec: Path | str, tokens: Any) -> Tensor:
    return word_counts(str(spec), open_source(str(spec), DataConfig(spec=str(spec))), tokens, 100)


def test_words_are_counted_without_start_end_and_padding(table: Path) -> None:
    counts = _count(table, Tokens())
    assert counts.shape == (100,)
    assert {WORDS[place - 1]: int(counts[place]) for place in counts.nonzero().squeeze(1).tolist()} == {
        "a": 2,
        "red": 1,
        "dog": 2,
        "cat": 1,
        "on": 1,
        "grass": 1,
    }


def test_the_second_time_they_are_read_from_beside_the_data(table: Path) -> None:
    first, again = Tokens(), Tokens()
    counted, read = _count(table, first), _count(table, again)
    assert torch.equal(counted, read)
    assert (first.calls, again.calls) == (1, 0)
    [file] = table.parent.glob(".pgsclip-word-counts-*.json")
    assert json.loads(file.read_text())["1"] == 2


def test_other_data_another_tokenizer_and_a_torn_file_are_counted_anew(table: Path) -> None:
    _count(table, Tokens())
    [file] = table.parent.glob(".pgsclip-word-counts-*.json")
    file.write_text('{"1": ')
    torn = Tokens()
    _count(table, torn)
    assert torn.calls == 1
    table.write_text(table.read_text() + "3.jpg\tcat cat\n")
    changed = Tokens()
    assert _count(table, changed)[4] == 3
    assert changed.calls == 1
    other = type("Others", (Tokens,), {})()
    _count(table, other)
    assert other.calls == 1


def test_a_file_with_tokens_outside_the_vocabulary_is_not_believed(table: Path) -> None:
    _count(table, Tokens())
    [file] = table.parent.glob(".pgsclip-word-counts-*.json")
    file.write_text('{"100": 3}')
    tokens = Tokens()
    assert _count(table, tokens).sum() == 8
    assert tokens.calls == 1


def test_where_nothing_can_be_written_it_counts_all_the_same(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pgsclip.files.os.open", refuse)
    assert _count(table, Tokens()).sum() == 8
    assert not list(table.parent.glob(".pgsclip*"))


def test_generated_scenes_need_no_file_and_are_counted_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsclip.data.word_counts._OF_GENERATED", 40)
    told: list[str] = []
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    counts = word_counts("generated", GeneratedSource(), tokenizer, 49408, told.append)
    assert told == ["counting words: 40 captions"]
    article, shape = (int(tokenizer([word])[0, 1]) for word in ("a", "circle"))
    assert counts[article] >= 40 > counts[shape] > 0
    assert counts[49406:].sum() == 0
