from __future__ import annotations

from pgsclip.plugins.groups import GROUPS, name_kind, name_kinds


def test_each_group_has_a_word_for_one_and_for_many() -> None:
    assert [name_kind(group) for group in GROUPS] == ["masker", "text masker", "loss", "logger"]
    assert [name_kinds(group) for group in GROUPS] == ["maskers", "text maskers", "losses", "loggers"]
