from __future__ import annotations

import json
from collections import Counter

from pgsclip.data.batch import Fault
from pgsclip.data.check import Check, Leak, Overlap
from pgsclip.data.check_report import figures, lines


def full() -> Check:
    return Check(
        "a.tar::b.tar", 2, pairs=96, fewest=40, most=56,
        faults=[Fault("corrupt image", "b.tar", f"{n}.jpg", "OSError: cut") for n in range(4)]
        + [Fault("truncated tar", "b.tar", "")],
        sizes=Counter({(64, 32): 60, (100, 200): 36}),
        formats=Counter({"JPEG": 72, "PNG": 24}),
        tokens=Counter({4: 50, 20: 44, 90: 2}),
        captions=Counter({"a dog": 3}),
        duplicates=[[f"a.tar: {n}.jpg", f"b.tar: {n}.jpg"] for n in range(7)],
        overlaps={"wds_x": Overlap(10, 1, [Leak("wds_x/0.tar: s.jpg", ("a.tar: 1.jpg",), True)])},
        loaders="2 shards feed up to 2",
    )  # fmt: skip


def test_the_screen_tells_each_finding_and_where_the_rest_is() -> None:
    said = "\n".join(lines(full()))
    assert "96 that can be trained on in 2 shards, 40 to 56 each" in said
    assert "shorter side 32 to 100 pixels, median 32; JPEG 75%, PNG 25%; 4.00% cannot be decoded" in said
    assert "4 to 90 tokens, median 4; 2.1% longer than 77" in said
    assert "3 share their words with another, most often (3 times) 'a dog'" in said
    assert "7 images are the same as another or alike" in said
    assert "2 x a.tar: 4.jpg = b.tar: 4.jpg\n              and 2 more; --json FILE lists them all" in said
    assert (
        "wds_x: 1 of its 10 images are in the training data, 1 as the same file and the others alike; 1 cannot" in said
    )
    assert "corrupt image: 4\n              b.tar: 0.jpg (OSError: cut)" in said
    assert said.endswith("verdict     faults were found")


def test_sound_and_empty_data_is_told_too() -> None:
    sound = full()
    sound.faults, sound.overlaps, sound.captions = [], {}, Counter()
    assert lines(sound)[-1] == "verdict     sound"
    assert "0 share their words with another" in lines(sound)[2]
    assert (
        lines(Check("x", 1, faults=[Fault("empty tar", "x", "")]))[0]
        == "pairs       0 that can be trained on in 1 shard"
    )


def test_figures_leave_nothing_out_and_are_json() -> None:
    found = json.loads(json.dumps(figures(full())))
    assert len(found["duplicate_images"]["groups"]) == 7
    assert found["faults"][0] == {"cause": "corrupt image", "shard": "b.tar", "key": "0.jpg", "detail": "OSError: cut"}
    assert found["undecodable_share"] == 0.04
    assert found["repeated_captions"] == {"a dog": 3}
    assert found["overlaps"]["wds_x"]["seen"][0]["trained"] == ["a.tar: 1.jpg"]
    assert (found["sound"], found["sizes"]["64x32"]) == (False, 60)
