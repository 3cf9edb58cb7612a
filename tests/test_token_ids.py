from __future__ import annotations

import open_clip
import torch

from pgsclip.token_ids import count_tokens, find_ends, find_words

CAPTIONS = ["", "a dog", "!", "a photograph of two very small birds"]


def test_lengths_ends_and_words_are_those_of_clips_own_tokenizer() -> None:
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    ids = tokenizer(CAPTIONS)
    for row, length, end, words, caption in zip(
        ids, count_tokens(ids), find_ends(ids), find_words(ids), CAPTIONS, strict=True
    ):
        encoded = tokenizer.encode(caption)
        assert row[:length].tolist() == [tokenizer.sot_token_id, *encoded, tokenizer.eot_token_id]
        assert row[end] == tokenizer.eot_token_id
        assert row[words].tolist() == encoded


def test_the_first_of_two_ends_is_the_end() -> None:
    ids = torch.tensor([[48, 3, 49, 5, 49, 0]])
    assert count_tokens(ids).tolist() == [3]
    assert find_words(ids).tolist() == [[False, True, False, False, False, False]]
