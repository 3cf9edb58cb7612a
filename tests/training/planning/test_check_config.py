from __future__ import annotations

import pytest

from pgsclip.config.resolve import resolve
from pgsclip.errors import MaskerError, ModelError, PluginError
from pgsclip.training.planning.check_config import check_config

SMALL = ("model.name=pgsclip-smoke",)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        (("model.name=RN50", "masker.name=random", "masker.ratio=0.5"), ModelError, "Or train .* --masker none"),
        (("model.name=RN50", "phases=[{steps: 1, masker: {name: pgs, ratio: 0.5}}]"), ModelError, "cannot hide"),
        ((*SMALL, "masker.name=random", "masker.ratio=0.3:0.5"), MaskerError, "random"),
        ((*SMALL, "text.masker=truncat", "text.max_tokens=8"), PluginError, "truncat"),
        ((*SMALL, "loss.auxiliary=[nothing]"), PluginError, "nothing"),
    ],
)
def test_what_a_run_would_stop_with_is_said_before(
    settings: tuple[str, ...], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        check_config(resolve(None, {}, settings))


def test_what_can_be_built_passes_also_with_words_to_count_and_weights_to_fetch() -> None:
    check_config(resolve(None, {}, (*SMALL, "text.masker=frequency", "text.max_tokens=8", "model.pretrained=laion2b")))
