"""CLIP's tokenizer as files that `transformers.CLIPTokenizer` and others read, from the vocabulary inside open_clip."""

from __future__ import annotations

from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer

from pgsclip.export.formats import write_json

_START, _END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(tokenizer: SimpleTokenizer, folder: Path, context_length: int) -> None:
    """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`.

    Texts begin, end and are cut at `context_length` as in open_clip; they are padded with the end of text instead of
    zeros, which no causal tower sees.
    """
    theirs = {tokenizer.sot_token_id: _START, tokenizer.eot_token_id: _END}
    write_json(
        folder / "vocab.json", {theirs.get(number, token): number for token, number in tokenizer.encoder.items()}
    )
    merges = "".join(f"{first} {second}\n" for first, second in tokenizer.bpe_ranks)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": context_length,
            "bos_token": _START,
            "eos_token": _END,
            "pad_token": _END,
            "unk_token": _END,
        },
    )
