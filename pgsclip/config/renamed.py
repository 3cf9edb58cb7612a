"""Settings that had another name once: each old key is answered with its new one, never read as it."""

from __future__ import annotations

import re

RENAMED = {
    "data.bad_share": "data.max_bad_share",
    "data.caption_parts": "data.caption_part_probability",
    "evaluate.data_root": "evaluate.eval_root",
    "loss.block": "loss.logits_per_chunk",
    "masker.groups": "masker.max_passes",
    "optim.accumulate": "optim.accumulation_steps",
    "optim.nonfinite": "optim.on_nonfinite",
    "text.groups": "text.max_passes",
    "text.tokens": "text.max_tokens",
}
"""Old dotted key → the one that took its place."""

_PHASE = re.compile(r"phases\.\d+\.")


def find_new_name(key: str) -> str | None:
    """Return the present name of an old dotted key, also inside a phase; None for a key that never was one."""
    phase = _PHASE.match(key)
    prefix = phase.group() if phase else ""
    found = RENAMED.get(key.removeprefix(prefix))
    return None if found is None else prefix + found
