"""Which captions stand in the data more than once, where there are millions that stand in it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class DuplicateCaptions:
    """Counts texts, and keeps the words of those alone that came twice.

    Of the others a hash of 64 bits is kept, a third of the memory of the words. Among ten million texts the chance that
    two of them share one, so that a text counts as repeated which is not, is 3 in a million.
    """

    counts: Counter[str] = field(default_factory=Counter)
    """Of the texts that came more than once."""
    _once: set[int] = field(default_factory=set)

    def add(self, texts: Mapping[str, int]) -> None:
        """Take in texts with how often each came."""
        for text, count in texts.items():
            mark = hash(text)
            if text in self.counts:
                self.counts[text] += count
            elif mark in self._once:
                self._once.remove(mark)
                self.counts[text] = 1 + count
            elif count > 1:
                self.counts[text] = count
            else:
                self._once.add(mark)
