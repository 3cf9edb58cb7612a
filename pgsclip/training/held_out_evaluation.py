"""The evaluation of a run on its held-out sets, while it trains and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.held_out import HeldOut


@dataclass
class HeldOutEvaluation:
    """All held-out sets on one encoder; remembers its last results as sentences."""

    sets: list[HeldOut]
    encoder: Encoder | None = None
    """The model in training; set once an engine has it."""
    sentences: list[str] = field(default_factory=list)
    """One for each set, of the last evaluation."""

    def __call__(self) -> dict[str, float]:
        """Evaluate: `<dataset>/<metric>` → value."""
        assert self.encoder is not None
        results: dict[str, float] = {}
        self.sentences = []
        for held_out in self.sets:
            found = held_out.evaluate(self.encoder)
            results |= {f"{held_out.name}/{metric}": value for metric, value in found.items()}
            self.sentences.append(held_out.sentence(found))
        return results
