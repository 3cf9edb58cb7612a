from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgsclip.data.batch import Fault
from pgsclip.data.shuffle import shuffled
from pgsclip.data.source import Raw, WorkerPass


class Row:
    """Twenty faults in a row, each its own name, as the least that can be read."""

    size, shards, description = 20, None, "a row"

    def __init__(self, shuffled: bool = False) -> None:
        self.shuffled = shuffled

    def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw | Fault]:
        yield from (Fault("", "", str(number)) for number in range(skip, self.size))

    def read_all(self) -> Iterator[Raw | Fault]:
        return self.read(WorkerPass(0, 1, 0, 0))


def names(source: Row, size: int, skip: int = 0, seed: int = 1) -> list[str]:
    return [item.key for item in shuffled(source, WorkerPass(0, 1, 0, seed), size, skip)]


def test_every_item_comes_once_in_an_order_of_its_slot() -> None:
    assert Counter(names(Row(), 5)) == Counter(str(number) for number in range(20))
    assert names(Row(), 5) == names(Row(), 5)
    assert names(Row(), 5) != names(Row(), 5, seed=2)


def test_a_later_start_leaves_out_what_came_before() -> None:
    assert names(Row(), 5, skip=7) == names(Row(), 5)[7:]
    assert names(Row(), 5, skip=99) == []


def test_a_source_that_shuffles_itself_is_read_as_it_is_and_skips_itself() -> None:
    assert names(Row(shuffled=True), 5, skip=3) == [str(number) for number in range(3, 20)]
