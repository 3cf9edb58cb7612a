"""Defaults that a setting shares with an option of a command or an argument of a function.

Every other default of a run stands in its section, in `pgsclip.config.schema`.
"""

from __future__ import annotations

RATIO = 0.5
"""Share of patches removed."""
MAX_PASSES = 4
"""Passes in which a batch with a ratio per image is encoded at most."""
CROP_SCALE = (0.9, 1.0)
"""Smallest and largest share of the image area that a random crop covers (arXiv 2503.17080, section 4.1)."""
LOGITS_PER_CHUNK = 2**24
"""Logits of the loss in memory at once: 64 MiB in float32."""
BACKGROUND = "white"
"""Colour that shows where an image is transparent."""
EVAL_BATCH_SIZE = 64
"""Images encoded at once in an evaluation. Loader workers hold several such batches in shared memory."""
