from __future__ import annotations

from collections.abc import Callable

import numpy as np
import open_clip

from pgsclip.data.eval_images import digest
from pgsclip.data.shard_stats import collect_stats, open_clip_tokens
from pgsclip.data.shards import read_shard


def test_a_census_counts_what_lies_there(write_tar: Callable[..., str], picture: Callable[..., bytes]) -> None:
    members = [("a/1.jpg", picture(1)), ("a/1.txt", "one"), ("2.png", picture(2, "png", 40)), ("2.txt", "one")]
    url = write_tar("a.tar", [*members, ("3.jpg", b"?"), ("3.txt", "no picture")])
    stats = collect_stats(url, read_shard(url), len)
    assert (stats.usable, stats.members) == (2, ["a/1.jpg", "2.png"])
    assert (stats.formats, stats.sizes) == ({"JPEG": 1, "PNG": 1}, {(64, 64): 1, (40, 40): 1})
    assert (stats.tokens, stats.captions) == ({3: 2}, {"one": 2})
    assert stats.digests == [digest(picture(1)), digest(picture(2, "png", 40))]
    assert stats.fingerprints.shape == (2, 200)
    assert [(fault.cause, fault.key) for fault in stats.faults] == [("corrupt image", "3.jpg")]


def test_tokens_are_those_of_open_clip_before_the_cut() -> None:
    count = open_clip_tokens()
    texts = ["a photo of a café, 猫", "word " * 100]
    lengths = open_clip.get_tokenizer("ViT-B-16", context_length=300)(texts).argmax(1) + 1
    assert [count(text) for text in texts] == np.asarray(lengths).tolist()
