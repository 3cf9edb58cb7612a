from __future__ import annotations

import gc
import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Batch, Position
from pgsclip.data.collate import Transform
from pgsclip.data.faults import FaultLedger
from pgsclip.data.generated import GeneratedSource
from pgsclip.data.image_files import FileSource
from pgsclip.data.loading import Stream, _Feed, open_stream, read_all
from pgsclip.data.shards import ShardSource
from pgsclip.data.source import PairSource, Raw, WorkerPass
from pgsclip.data.spec import open_source
from pgsclip.data.stall_guard import OpenShards
from pgsclip.errors import DataError

ToTensor = Callable[[Image.Image], Tensor]
Tokenize = Callable[[list[str]], Tensor]
WriteShards = Callable[[list[int]], list[str]]
WriteTar = Callable[..., str]
Photo = Callable[..., bytes]

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads, and torch has threads
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    # three workers are meant, also where there are two cores
    pytest.mark.filterwarnings("ignore:This DataLoader will create . worker processes:UserWarning"),
]


@pytest.fixture
def noisy(to_tensor: ToTensor) -> Transform:
    return lambda picture, chance: to_tensor(picture.convert("RGB")) + chance.random()


@pytest.fixture
def stream(noisy: Transform, tokenize: Tokenize) -> Callable[..., Stream]:
    def make(source: PairSource, workers: int = 0, shuffle: int = 5, seed: int = 1) -> Stream:
        return Stream(source, noisy, tokenize, seed, shuffle, workers, 600.0, 0.0, 1)

    return make


def take(found: Iterator[Batch], count: int) -> list[Batch]:
    return list(islice(found, count))


def same(left: Batch, right: Batch) -> bool:
    tensors = ((left.images, right.images), (left.texts, right.texts), (left.lengths, right.lengths))
    return all(torch.equal(*pair) for pair in tensors) and (left.keys, left.position) == (right.keys, right.position)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("done", [4, 11])
def test_resumed_stream_goes_on_bit_for_bit(
    write_shards: WriteShards, stream: Callable[..., Stream], workers: int, done: int
) -> None:
    # 26 pairs, 3 a batch: worker shares end in the middle of batches, and both ends lie inside a pass
    there = stream(ShardSource(write_shards([3, 5, 4, 6, 2, 6]), None), workers)
    whole = take(there.batches(batch_size=3, rank=0, world=1), done + 10)
    positions = {batch.position.worker: batch.position for batch in whole[:done]}
    rest = there.batches(batch_size=3, rank=0, world=1, start=tuple(positions.values()), batches_done=done)
    for before, after in zip(whole[done:], take(rest, 10), strict=True):
        assert same(before, after)
    assert len({batch.position.epoch for batch in whole[done:]}) > 1
    assert {batch.position.worker for batch in whole} == set(range(max(1, workers)))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_resume_is_exact_wherever_it_stopped_and_whatever_is_broken(
    write_tar: WriteTar, photo: Photo, stream: Callable[..., Stream], data: st.DataObject
) -> None:
    size, batch_size = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    broken = data.draw(st.sets(st.integers(0, size - 1), max_size=size - 1))
    members: list[tuple[str, bytes | str]] = []
    for number in range(size):
        content = b"broken" if number in broken else photo(number)
        members += [(f"{number}.png", content), (f"{number}.txt", "text" if number % 4 else f"{number}")]
    there = stream(ShardSource([write_tar("a.tar", members)], 1), shuffle=data.draw(st.integers(1, 6)))
    done = data.draw(st.integers(0, 9))
    whole = take(there.batches(batch_size=batch_size, rank=0, world=1), done + 4)
    start = [whole[done - 1].position] if done else []
    rest = take(there.batches(batch_size=batch_size, rank=0, world=1, start=start, batches_done=done), 4)
    assert all(map(same, whole[done:], rest))
    assert sum(batch.read for batch in whole) == sum(len(batch.keys) + len(batch.faults) for batch in whole)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 5), min_size=6, max_size=9), st.integers(1, 3), st.integers(1, 2), st.integers(1, 30))
def test_every_pair_comes_once_an_epoch_over_all_ranks_and_workers(
    write_shards: WriteShards,
    stream: Callable[..., Stream],
    sizes: list[int],
    world: int,
    workers: int,
    shuffle: int,
) -> None:
    there = stream(ShardSource(write_shards(sizes), None), workers, shuffle)
    keys: list[tuple[int, str]] = []
    for rank in range(world):
        feed = _Feed(there, 1, rank, world, {}, 0, OpenShards(workers))
        for worker in range(workers):  # what the loader's processes run, without the processes
            two_passes = takewhile(lambda batch: batch.position.epoch < 2, feed._batches(worker, workers))
            keys += [(batch.position.epoch, batch.keys[0]) for batch in two_passes]
    assert sorted(keys) == [(epoch, f"{number:05d}") for epoch in range(2) for number in range(sum(sizes))]


@pytest.mark.parametrize("kind", ["shards", "files"])
def test_real_processes_share_an_epoch_without_rest(
    tmp_path: Path, write_shards: WriteShards, photo: Photo, stream: Callable[..., Stream], kind: str
) -> None:
    source: PairSource = ShardSource(write_shards([3] * 6), None)
    if kind == "files":
        pairs: list[tuple[Path, str | None]] = []
        for number in range(18):
            (tmp_path / f"{number:05d}.png").write_bytes(photo(number))
            pairs.append((tmp_path / f"{number:05d}.png", f"{number}"))
        source = FileSource("t.csv", pairs, "")
    there = stream(source, workers=3)
    keys: list[str] = []
    for rank in (0, 1):
        batches = take(there.batches(batch_size=1, rank=rank, world=2), 9)
        assert {batch.position.epoch for batch in batches} == {0}
        keys += [Path(key).stem for batch in batches for key in batch.keys]
    assert sorted(keys) == [f"{number:05d}" for number in range(18)]


@pytest.mark.parametrize("workers", [0, 2])
def test_order_differs_between_epochs_and_seeds_and_is_the_same_with_the_same(
    write_shards: WriteShards, stream: Callable[..., Stream], workers: int
) -> None:
    source = ShardSource(write_shards([4] * 4), None)

    def order(seed: int) -> list[str]:
        batches = stream(source, workers, seed=seed).batches(batch_size=4, rank=0, world=1)
        return [key for batch in take(batches, 8) for key in batch.keys]

    first = order(1)
    assert first == order(1)
    assert first != order(2)
    assert sorted(first[:16]) == sorted(first[16:])
    assert first[:16] != first[16:]


def test_buffer_mixes_shards_and_a_buffer_of_one_does_not(
    write_shards: WriteShards, stream: Callable[..., Stream]
) -> None:
    source = ShardSource(write_shards([10, 10]), None)

    def keys(shuffle: int) -> list[int]:
        batches = stream(source, shuffle=shuffle).batches(batch_size=20, rank=0, world=1)
        return [int(key) for key in next(batches).keys]

    assert len({key // 10 for key in keys(100)[:10]}) == 2
    assert len({key // 10 for key in keys(1)[:10]}) == 1
    assert keys(100)[:10] != sorted(keys(100)[:10])


def test_augmentation_is_of_the_sample_and_the_epoch_alone(
    write_shards: WriteShards, stream: Callable[..., Stream]
) -> None:
    source = ShardSource(write_shards([4, 4]), None)

    def pictures(batch_size: int, workers: int, seed: int = 1) -> dict[tuple[str, int], Tensor]:
        found = {}
        for batch in take(
            stream(source, workers, seed=seed).batches(batch_size=batch_size, rank=0, world=1), 16 // batch_size
        ):
            for key, image in zip(batch.keys, batch.images, strict=True):
                found[key, batch.position.epoch] = image
        return found

    ones, fours, other = pictures(1, 0), pictures(4, 2), pictures(1, 0, seed=2)
    assert set(ones) == set(fours)
    assert all(torch.equal(ones[name], fours[name]) for name in ones)
    assert not any(torch.equal(ones[f"{n:05d}", 0], ones[f"{n:05d}", 1]) for n in range(8))
    assert not any(torch.equal(ones[name], other[name]) for name in ones)
    noise = [image - image.floor() for image in ones.values()]
    assert all(not torch.equal(noise[0], one) for one in noise[1:])


def test_same_key_in_two_shards_is_augmented_on_its_own(
    write_tar: WriteTar, photo: Photo, stream: Callable[..., Stream]
) -> None:
    urls = [write_tar(name, [("a.png", photo(5)), ("a.txt", "text")]) for name in ("0.tar", "1.tar")]
    (batch,) = take(stream(ShardSource(urls, None)).batches(batch_size=2, rank=0, world=1), 1)
    assert batch.keys == ["a", "a"]
    assert not torch.equal(batch.images[0], batch.images[1])


def test_chance_of_the_process_is_left_alone(stream: Callable[..., Stream]) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(3)
    np.random.seed(3)
    take(stream(GeneratedSource(size=9)).batches(batch_size=4, rank=0, world=1), 3)
    # Python's own chance cannot be looked at here: the checks of shapes draw from it
    assert (torch.rand(1), np.random.random()) == expected


def test_texts_and_their_lengths_go_with_the_pictures(
    write_shards: WriteShards, stream: Callable[..., Stream], tokenize: Tokenize
) -> None:
    (batch,) = take(stream(ShardSource(write_shards([12]), None)).batches(batch_size=12, rank=0, world=1), 1)
    for key, image, text, length in zip(batch.keys, batch.images, batch.texts, batch.lengths, strict=True):
        number = int(key)
        assert int(image[0, -1, -1]) == number
        assert torch.equal(text, tokenize([str(number)])[0])
        assert length == 2 + len(str(number))
        assert text[length - 1] == 999


def test_lengths_are_right_for_open_clips_tokenizer_and_captions_of_any_length(to_tensor: ToTensor) -> None:
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    captions = ["a cat", "", "word " * 3000, "zwei\nZeilen – 猫"]
    texts = tokenizer(captions)
    pairs: list[tuple[Path, str | None]] = [(Path(str(n)), caption) for n, caption in enumerate(captions)]

    class Pictures(FileSource):
        def pair(self, index: int) -> Raw:
            return Raw("", str(index), captions[index], lambda: Image.new("RGB", (8, 8)))

    there = Stream(Pictures("", pairs, ""), lambda picture, _: to_tensor(picture), tokenizer, 0, 1, 0, 600.0, 0.0, 1)
    (batch,) = take(there.batches(batch_size=4, rank=0, world=1), 1)
    for key, text, length in zip(batch.keys, batch.texts, batch.lengths, strict=True):
        assert torch.equal(text, texts[int(key)])
        assert text[length - 1] == tokenizer.eot_token_id
        assert (text[length:] == 0).all()
    assert batch.lengths.max() == 77


def test_files_that_are_gone_or_damaged_are_faults_by_name(
    tmp_path: Path, photo: Photo, stream: Callable[..., Stream]
) -> None:
    (tmp_path / "good.png").write_bytes(photo())
    (tmp_path / "cut.png").write_bytes(photo()[:-40])
    (tmp_path / "folder.png").mkdir()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    names = ("good.png", "cut.png", "gone.png", "folder.png", "moving.png")
    source = FileSource("t.csv", [(tmp_path / name, "text") for name in names], "")
    (batch,) = take(stream(source).batches(batch_size=4, rank=0, world=1), 1)  # into the second pass
    assert {Path(key).name for key in batch.keys} == {"good.png", "moving.png"}
    found = {(Path(fault.key).name, fault.cause, fault.shard) for fault in batch.faults}
    assert found == {
        ("cut.png", "corrupt image", "t.csv"),
        ("gone.png", "missing image", "t.csv"),
        ("folder.png", "corrupt image", "t.csv"),
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_travel_with_the_batches_to_the_ledger(
    tmp_path: Path, write_tar: WriteTar, photo: Photo, stream: Callable[..., Stream], workers: int
) -> None:
    good = [("a.png", photo()), ("a.txt", "text"), ("b.png", photo()), ("b.txt", "text")]
    urls = [write_tar(f"good{n}.tar", good) for n in range(2)]
    urls += [write_tar("bad.tar", [*good, ("c.txt", "alone"), ("d.jpg", b"cut"), ("d.txt", "text")])]
    urls += [str(tmp_path / "gone.tar")]
    ledger = FaultLedger(1.0)
    batches = stream(ShardSource(urls, 6), workers, shuffle=1).batches(batch_size=1, rank=0, world=1)
    for batch in take(batches, 24):
        ledger.add(batch)
    ledger.write(tmp_path / "faults.json")
    found = json.loads((tmp_path / "faults.json").read_text())
    assert set(found["by_cause"]) == {"caption without image", "corrupt image", "missing shard"}
    assert set(found["by_shard"]) == {urls[2], urls[3]}
    assert found["first_of_each_cause"]["caption without image"] == f"{urls[2]}: c"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_without_a_usable_pair_ends_in_a_sentence(
    write_tar: WriteTar, stream: Callable[..., Stream], workers: int
) -> None:
    urls = [write_tar(f"{n}.tar", [("a.jpg", b"no picture"), ("a.txt", "text"), ("b.txt", "b")]) for n in range(2)]
    batches = stream(ShardSource(urls, None), workers).batches(batch_size=2, rank=0, world=1)
    words = (
        r"A whole pass over a loader worker's share of 2 pairs in 2 shards gave no usable pair: "
        r"caption without image, corrupt image, for example .*\.tar [ab]\.$"
    )
    began = time.monotonic()
    try:
        next(batches)
    except DataError as error:  # not pytest.raises, which keeps the loader alive
        said = str(error)
    del batches
    gc.collect()
    assert re.match(words, said)
    assert time.monotonic() - began < 5


def test_shards_that_are_all_gone_end_in_a_sentence_too(tmp_path: Path, stream: Callable[..., Stream]) -> None:
    source = ShardSource([str(tmp_path / "gone.tar")], 100)
    with pytest.raises(DataError, match=r"no usable pair: missing shard, for example .*gone\.tar\.$"):
        next(stream(source).batches(batch_size=2, rank=0, world=1))


def test_resuming_into_shards_that_broke_ends_as_well(tmp_path: Path, stream: Callable[..., Stream]) -> None:
    source = ShardSource([str(tmp_path / "gone.tar")], 100)
    batches = stream(source).batches(batch_size=2, rank=0, world=1, start=[Position(0, 3, 50)], batches_done=9)
    with pytest.raises(DataError, match="no usable pair"):
        next(batches)


def test_batch_larger_than_the_data_takes_several_passes(
    write_shards: WriteShards, stream: Callable[..., Stream]
) -> None:
    (batch,) = take(stream(ShardSource(write_shards([3]), None)).batches(batch_size=8, rank=0, world=1), 1)
    assert batch.position == Position(0, 2, 2)
    assert sorted(batch.keys[:3]) == sorted(batch.keys[3:6]) == ["00000", "00001", "00002"]


def test_there_are_as_many_workers_as_the_shards_allow(
    write_shards: WriteShards, noisy: Transform, tokenize: Tokenize, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = "::".join(write_shards([1, 1, 1, 1, 1]))

    def opened(workers: int | str | None, world: int = 1, spec: str = spec) -> Stream:
        config = DataConfig.model_validate({"workers": workers, "shuffle": 3})
        return open_stream(
            open_source(spec, config), config=config, transform=noisy, tokenizer=tokenize, seed=0, world=world
        )

    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert [opened(None, world).workers for world in (1, 2, 3, 5)] == [4, 2, 1, 1]
    assert opened(None, spec="generated").workers == 4
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert opened(None).workers == opened("auto").workers == 2, "auto, where nothing was measured"
    assert opened(0, 5).workers == 0
    assert (opened(5).workers, opened(5).size, opened(5).shuffle) == (5, 5, 3)
    assert opened(5).description == "5 pairs in 5 shards"
    with pytest.raises(DataError, match=r"5 shards for 6 workers in each of 1 process; .*data\.workers=5 or fewer"):
        opened(6)
    with pytest.raises(DataError, match=r"5 shards for 3 workers in each of 2 processes; .*data\.workers=2 or fewer"):
        opened(3, 2)
    with pytest.raises(DataError, match=r"5 shards for 6 training processes; each needs one .*start fewer processes"):
        opened(0, 6)


def test_read_all_gives_every_usable_pair_once_without_chance(
    write_tar: WriteTar, photo: Photo, to_tensor: ToTensor, tokenize: Tokenize
) -> None:
    members = [(f"{n}.{kind}", data) for n in range(5) for kind, data in (("png", photo(n)), ("txt", f"{n}"))]
    url = write_tar("a.tar", [*members, ("x.txt", "alone")])
    batches = list(read_all(url, DataConfig(), to_tensor, tokenize, 2))
    assert [batch.keys for batch in batches] == [["0", "1"], ["2", "3"], ["4"]]
    assert [int(image[0, -1, -1]) for batch in batches for image in batch.images] == list(range(5))
    again = read_all(f"pipe:cat '{url}'", DataConfig(samples=99), to_tensor, tokenize, 2)
    assert all(map(same, batches, again))


def test_a_part_of_the_caption_is_drawn_anew_each_epoch_and_again_after_a_stop(
    write_tar: WriteTar, photo: Photo, to_tensor: ToTensor, tokenize: Tokenize
) -> None:
    members = [(f"{n}.{kind}", data) for n in range(4) for kind, data in (("png", photo(n)), ("txt", f"{n}1, {n}2"))]
    url = write_tar("a.tar", members)

    def words(share: float, done: int = 0, start: tuple[Position, ...] = ()) -> list[Batch]:
        config = DataConfig(workers=0, caption_part_probability=share)
        there = open_stream(
            open_source(url, config),
            config=config,
            transform=lambda picture, _: to_tensor(picture),
            tokenizer=tokenizer,
            seed=3,
        )
        return take(there.batches(batch_size=4, rank=0, world=1, start=start, batches_done=done), 60 - done)

    def tokenizer(captions: list[str]) -> Tensor:
        said.append(captions)
        return tokenize([caption[0] for caption in captions])

    said: list[list[str]] = []
    words(0.0)
    assert {caption for batch in said for caption in batch} == {f"{n}1, {n}2" for n in range(4)}
    said = []
    whole, first = words(0.75), said
    assert {caption for batch in first for caption in batch} == {
        text for n in range(4) for text in (f"{n}1", f"{n}2", f"{n}1, {n}2")
    }
    said = []
    words(0.75, 5, (whole[4].position,))
    assert said == first[5:]


def test_pipes_feed_real_processes(write_shards: WriteShards, stream: Callable[..., Stream]) -> None:
    urls = [f"pipe:cat '{url}'" for url in write_shards([2, 2])]
    batches = take(stream(ShardSource(urls, 4), 2).batches(batch_size=1, rank=0, world=1), 4)
    assert sorted(batch.keys[0] for batch in batches) == ["00000", "00001", "00002", "00003"]
    assert not any(batch.faults for batch in batches)


def test_slots_of_ranks_and_workers_are_all_different(stream: Callable[..., Stream]) -> None:
    parts: list[WorkerPass] = []

    class Watched(GeneratedSource):
        def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw]:
            parts.append(work)
            return super().read(work, skip)

    for rank in range(3):
        take(stream(Watched(size=6)).batches(batch_size=1, rank=rank, world=3), 3)
    assert parts == [WorkerPass(rank, 3, epoch, 1) for rank in range(3) for epoch in range(2)]
