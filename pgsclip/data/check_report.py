"""What `pgsclip data check` says: lines for a person, figures for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pgsclip.data.batch import Fault
from pgsclip.data.check import Check
from pgsclip.data.near_duplicates import BITS, LEVELS

_CONTEXT = 77
"""Tokens of a caption that open_clip's text encoders read."""
_SHOWN = 5


def lines(check: Check) -> list[str]:
    """A screen, with the first few of each kind of finding."""
    where = f" in {check.shards:,} shard{'s' * (check.shards != 1)}" if check.shards else ""
    spread = f", {check.fewest:,} to {check.most:,} each" if (check.shards or 0) > 1 else ""
    said = [f"pairs       {check.pairs:,} that can be trained on{where}{spread}"]
    if check.pairs:
        said += [_images(check), _captions(check)]
    said += [f"loading     {check.starving or check.loaders}"]
    said += _duplicates(check)
    for name, overlap in sorted(check.overlaps.items()):
        same = sum(one.same_file for one in overlap.seen)
        said.append(
            f"overlap     {name}: {len(overlap.seen):,} of its {overlap.images:,} images are in the training data"
            + (f", {same:,} as the same file and the others alike" if overlap.seen else "")
            + (f"; {overlap.unreadable:,} cannot be decoded" if overlap.unreadable else "")
        )
        said += [f"              {one.evaluated} = {one.trained[0]}" for one in overlap.seen[:_SHOWN]]
        said += _more(len(overlap.seen))
    said += _faults(check.faults)
    return [*said, "verdict     sound" if check.sound else "verdict     faults were found"]


def figures(check: Check) -> dict[str, Any]:
    """Everything, nothing left out."""
    return {
        "spec": check.spec,
        "sound": check.sound,
        "shards": check.shards,
        "pairs": check.pairs,
        "pairs_per_shard": [check.fewest, check.most],
        "formats": dict(check.formats.most_common()),
        "sizes": {f"{width}x{height}": count for (width, height), count in check.sizes.most_common()},
        "undecodable_share": _undecodable(check),
        "caption_tokens": {str(length): count for length, count in sorted(check.tokens.items())},
        "captions_cut_share": _share_above(check.tokens, _CONTEXT),
        "repeated_captions": dict(check.captions.most_common()),
        "duplicate_images": {"bits": BITS, "levels": LEVELS, "groups": check.duplicates},
        "overlaps": {
            name: {
                "images": overlap.images,
                "unreadable": overlap.unreadable,
                "seen": [one._asdict() for one in overlap.seen],
            }
            for name, overlap in sorted(check.overlaps.items())
        },
        "loading": check.starving or check.loaders,
        "faults": [vars(fault) for fault in check.faults],
    }


def _images(check: Check) -> str:
    shorter = Counter[int]()
    for size, count in check.sizes.items():
        shorter[min(size)] += count
    formats = ", ".join(f"{kind} {count / check.pairs:.0%}" for kind, count in check.formats.most_common(_SHOWN))
    low, middle, high = (_quantile(shorter, share) for share in (0.0, 0.5, 1.0))
    return (
        f"images      shorter side {low} to {high} pixels, median {middle}; {formats}; "
        f"{_undecodable(check):.2%} cannot be decoded"
    )


def _captions(check: Check) -> str:
    low, middle, high = (_quantile(check.tokens, share) for share in (0.0, 0.5, 1.0))
    again = check.captions.total()
    said = f"captions    {low} to {high} tokens, median {middle}; {_share_above(check.tokens, _CONTEXT):.1%} "
    said += f"longer than {_CONTEXT}, which are cut; {again:,} share their words with another"
    for caption, count in check.captions.most_common(1):
        said += f", most often ({count:,} times) {_short(caption)!r}"
    return said


def _duplicates(check: Check) -> list[str]:
    spare = sum(len(group) - 1 for group in check.duplicates)
    said = [
        f"duplicates  {spare:,} images are the same as another or alike (up to {BITS} of 64 bits of the perceptual "
        f"hash, {LEVELS} of 255 levels of colour), in {len(check.duplicates):,} groups"
    ]
    for group in check.duplicates[:_SHOWN]:
        said.append(f"              {len(group):,} x {group[0]} = {group[1]}")
    return said + _more(len(check.duplicates))


def _faults(faults: list[Fault]) -> list[str]:
    if not faults:
        return ["faults      none: every member of every shard can be used"]
    said = [f"faults      {len(faults):,}"]
    for cause, count in Counter(fault.cause for fault in faults).most_common():
        said.append(f"  {cause}: {count:,}")
        same = [fault for fault in faults if fault.cause == cause]
        said += [f"              {_place(fault)}" for fault in same[:_SHOWN]]
        said += _more(count)
    return said


def _place(fault: Fault) -> str:
    return (f"{fault.shard}: {fault.key}" if fault.key else fault.shard) + (
        f" ({_short(fault.detail)})" if fault.detail else ""
    )


def _more(count: int) -> list[str]:
    return [f"              and {count - _SHOWN:,} more; --json FILE lists them all"] if count > _SHOWN else []


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _undecodable(check: Check) -> float:
    """Of the pairs whose image was looked at."""
    bad = sum(fault.cause in {"corrupt image", "image too large", "missing image"} for fault in check.faults)
    return bad / max(1, check.pairs + bad)


def _share_above(counts: Mapping[int, int], limit: int) -> float:
    return sum(count for value, count in counts.items() if value > limit) / max(1, sum(counts.values()))


def _quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest value that at least this share of the counted things does not exceed."""
    passed, wanted = 0, share * sum(counts.values())
    for value in sorted(counts):
        passed += counts[value]
        if passed >= wanted:
            return value
    raise AssertionError("nothing was counted")
