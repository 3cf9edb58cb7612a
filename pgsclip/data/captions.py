"""One part of a caption instead of the whole: the text function of ConVIRT.

Contrastive Learning of Medical Visual Representations from Paired Images and Text (arXiv 2010.00747, "Realization")
draws one sentence of a text uniformly each time. CLIP dropped that because most of its captions are one sentence (arXiv
2103.00020, section 2.3). Captions made of a title and keywords are not: a model that only ever reads the whole list
learns it by heart, and does not know a single keyword when zero-shot classification asks for it.

Here a part ends at a sentence's end, a comma, semicolon, bracket or line; so keywords are parts too.
"""

from __future__ import annotations

import random
import re

_BETWEEN = re.compile(r"[,;|()\[\]{}\n]+|[.!?:]+(?=\s|$)")
"""A full stop or colon inside a word, as in 3.5 and 23:31, ends nothing."""


def caption_parts(caption: str) -> list[str]:
    """Sentences and keywords, in order, without what stands between them; the caption itself where there are none."""
    parts = [part.strip() for part in _BETWEEN.split(caption)]
    return [part for part in parts if any(map(str.isalnum, part))] or [caption]


def part_or_whole(caption: str, share: float, seed: int) -> str:
    """With probability `share` one of the caption's parts, each as likely as the others; otherwise the caption.

    Args:
        seed: decides both; the same seed gives the same text.
    """
    chance = random.Random(seed)
    return chance.choice(caption_parts(caption)) if chance.random() < share else caption
