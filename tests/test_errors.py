from __future__ import annotations

import pytest

from pgsclip import errors


def test_did_you_mean_names_the_nearest_only() -> None:
    assert errors.did_you_mean("rndom", ["random", "cluster"]) == " Did you mean 'random'?"
    assert errors.did_you_mean("zzz", ["random", "cluster"]) == ""


def test_every_error_is_one_of_ours_and_leaves_with_two_unless_it_only_stopped() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.PgsclipError)
        assert kind("x").exit_code == (75 if kind is errors.UnfinishedError else 2)


def test_errors_are_caught_by_their_root() -> None:
    with pytest.raises(errors.PgsclipError, match="words"):
        raise errors.DataError("words")
