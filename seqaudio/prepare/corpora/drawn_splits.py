"""Draw splits that can be trained on: by speaker where there are enough, else by recording within each label.

Hashes of names rank speakers and recordings: the lowest go to valid, the highest to test, the rest to train. So the
splits depend on the inputs alone, not on their order or the machine, and a new input moves others only at the borders
of train. It never moves a recording between valid and test.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from statistics import median_low
from typing import NamedTuple

from seqaudio.prepare.corpora.splits import check_percentages, hash_fraction
from seqaudio.prepare.engine import Item
from seqaudio.terminal import few

NOT_SHARED = 0.25  # share of labels that may lack speakers for some split before speakers are no longer kept apart
SHOWN = 3  # labels that are named in a line

Shares = Mapping[str, float]  # split -> percent, of the wanted splits other than train


class Filled(NamedTuple):
    """Items that all have a split, and a line that says how it was chosen."""

    items: list[Item]
    how: str


def fill_splits(items: Sequence[Item], valid_percent: float, test_percent: float) -> Filled:
    """Give a split to every item without one, and a validation split to a corpus that has only training and test.

    Speakers are kept apart where they are known and enough: every split gets one, training keeps at least half of its
    share, and labels that enough speakers say are in every split. Otherwise recordings are split within each label, so
    that each label with enough recordings is in every split, and shares are right to within a recording. Segments of
    one recording stay together where there are enough recordings. A corpus that gives all its inputs as training, or
    all as test, gets no other split of these two.

    Raises:
        OptionError: percentages that leave nothing to train on.
    """
    check_percentages(valid_percent, test_percent)
    splits = [item.split for item in items]
    # the preparation refuses an item without file or label, so it must not be the only one of a split
    items = [
        replace(
            item, label=unicodedata.normalize("NFC", item.label), speaker=unicodedata.normalize("NFC", item.speaker)
        )
        for item in items
    ]
    usable = [place for place, item in enumerate(items) if item.path is not None and (item.label or item.text)]
    free = [place for place in usable if not splits[place]]
    training = [place for place in usable if splits[place] == "train"] if "valid" not in splits else []
    notes = []
    for places, shares in (
        (free, {"valid": valid_percent, "test": test_percent}),
        (training, {"valid": valid_percent}),
    ):
        shares = {split: percent for split, percent in shares.items() if percent > 0}
        if places and shares:
            drawn, how = _draw([items[place] for place in places], shares)
            notes.append(how if places is free else f"valid is {how}, out of train")
            for place, split in zip(places, drawn, strict=True):
                splits[place] = split
    filled = [replace(item, split=split or "train") for item, split in zip(items, splits, strict=True)]
    counts = Counter(filled[place].split for place in usable)
    sizes = ", ".join(f"{split} {counts[split]:,}" for split in ("train", "valid", "test") if counts[split])
    if usable and not counts["train"]:
        notes.append("nothing to train on: for the evaluation of a model that was trained on another store")
    return Filled(filled, f"splits: {sizes or 'none'}; {'; '.join(notes) or 'as given'}")


def _draw(items: Sequence[Item], shares: Shares) -> tuple[list[str], str]:
    """The split of each item, and how it was chosen, in words."""
    needed = 1 + len(shares)
    wanted = [label for label, count in Counter(item.label for item in items).items() if count >= needed]
    voices = [item.speaker or f"\0{item.key}" for item in items]  # each unknown speaker counts as one of its own
    known = len(set(filter(None, (item.speaker for item in items))))
    why = "speakers are unknown, so a voice may be in several"
    if known and 2 * sum(not item.speaker for item in items) <= len(items):
        splits = _by_speaker(items, voices, shares)
        lacking = _lacking(items, splits, wanted, shares)
        held = Counter(label for label, _ in {(item.label, voice) for item, voice in zip(items, voices, strict=True)})
        rare = [label for label in wanted if held[label] < needed]
        if _trainable(splits, shares) and set(lacking) <= set(rare) and len(lacking) <= NOT_SHARED * len(wanted):
            named = {(item.speaker, split) for item, split in zip(items, splits, strict=True) if item.speaker}
            groups = Counter(split for _, split in named)
            dealt = ", ".join(f"{groups[split]:,} for {split}" for split in ("train", *shares))
            if unnamed := sum(not item.speaker for item in items):
                dealt += f"; {unnamed:,} without a speaker drawn by file, so their voices may be in several"
            told = _in_words(lacking, "said by too few speakers for every split")
            return splits, f"drawn by speaker, {dealt}{told}"
        why = f"{known:,} speakers are too few to keep apart, or share too few labels; so voices are in several"
    recordings = [str(item.path) if item.held is None else item.key for item in items]
    if needed <= len(set(recordings)) < len(items):
        splits = _by_recording(items, recordings, shares)
        if not _lacking(items, splits, wanted, shares) and _trainable(splits, shares):
            return splits, f"drawn by recording, whose segments stay together; {why}"
    splits = _by_recording(items, [item.key for item in items], shares)
    alike = "row, segments of one recording too" if len(set(recordings)) < len(items) else "file"
    alike += ", alike for each label" if any(item.label for item in items) else ""
    return splits, f"drawn by {alike}; {why}" + _in_words(
        sorted({item.label for item in items} - {*wanted, ""}), "too few for every split"
    )


def _in_words(labels: Sequence[str], what: str) -> str:
    if not labels:
        return ""
    return f"; {what}: {few(sorted(labels), SHOWN)}"


def _lacking(items: Sequence[Item], splits: Sequence[str], wanted: Sequence[str], shares: Shares) -> list[str]:
    """Those of the wanted labels that are missing from a split."""
    found = {(item.label, split) for item, split in zip(items, splits, strict=True)}
    return [label for label in wanted if any((label, split) not in found for split in ("train", *shares))]


def _trainable(splits: Sequence[str], shares: Shares) -> bool:
    """Whether no split is empty, and training has at least half of its share."""
    counts = Counter(splits)
    fewest = (100 - sum(shares.values())) / 200 * len(splits)
    return all(counts[split] for split in shares) and counts["train"] >= fewest


# --- by recording, within each label ---


def _by_recording(items: Sequence[Item], units: Sequence[str], shares: Shares) -> list[str]:
    """The split of each item; items of one unit share it. Units with the same labels form a stratum."""
    labels = defaultdict[str, set[str]](set)
    names = dict[str, tuple[float, ...]]()
    for item, unit in zip(items, units, strict=True):
        labels[unit].add(item.label)
        # recordings of several words with one name, such as a speaker's or a session's, get one split where possible
        stem = item.key if item.path is None else PurePath(item.path.name).stem
        names.setdefault(unit, (hash_fraction(stem), hash_fraction(item.key)))
    strata = defaultdict[str, list[str]](list)
    for unit in sorted(labels, key=lambda unit: (*names[unit], unit)):
        strata["\0".join(sorted(labels[unit]))].append(unit)
    quotas = _quotas({stratum: len(members) for stratum, members in strata.items()}, shares)
    chosen = dict.fromkeys(labels, "train")
    for stratum, members in strata.items():
        first, last = (quotas.get(split, {}).get(stratum, 0) for split in ("valid", "test"))
        chosen |= dict.fromkeys(members[:first], "valid")
        chosen |= dict.fromkeys(members[len(members) - last :], "test")
    return [chosen[unit] for unit in units]


def _quotas(sizes: Mapping[str, int], shares: Shares) -> dict[str, dict[str, int]]:
    """How many of each stratum go to each split beside train, which keeps at least one of each.

    A stratum that has enough gives one to every split. Beyond this, numbers are rounded so that their sum is the share
    of the whole: those with the largest remainders are rounded up.
    """
    spare = {stratum: size - 1 for stratum, size in sizes.items()}
    quotas: dict[str, dict[str, int]] = {}
    for split in shares:
        quotas[split] = {stratum: int(size > len(shares)) for stratum, size in sizes.items()}
    for stratum, size in sizes.items():
        spare[stratum] -= len(shares) * (size > len(shares))
    for split, percent in shares.items():
        quota = quotas[split]
        exact = {stratum: size * percent / 100 for stratum, size in sizes.items()}
        goal = max(1, math.floor(sum(exact.values()) + 0.5))

        def add(stratum: str, number: int, quota: dict[str, int] = quota) -> None:
            number = min(number, spare[stratum])
            quota[stratum] += number
            spare[stratum] -= number

        for stratum, number in exact.items():
            add(stratum, max(0, math.floor(number + 1e-9) - quota[stratum]))
        remainders = {stratum: number - quota[stratum] for stratum, number in exact.items()}
        for stratum in sorted(exact, key=lambda name: (-remainders[name], hash_fraction(name), name)):
            if sum(quota.values()) < goal and remainders[stratum] > 0:
                add(stratum, 1)
    _fill_empty(quotas, sizes)
    return quotas


def _fill_empty(quotas: dict[str, dict[str, int]], sizes: Mapping[str, int]) -> None:
    """Give an empty split the only recording of a label, if nothing else is left and training keeps another."""
    for quota in quotas.values():
        left = {stratum: size - sum(other[stratum] for other in quotas.values()) for stratum, size in sizes.items()}
        if not any(quota.values()) and sum(left.values()) > 1:
            quota[min(left, key=lambda name: (-left[name], hash_fraction(name), name))] += 1


# --- by speaker ---


def _by_speaker(items: Sequence[Item], voices: Sequence[str], shares: Shares) -> list[str]:
    """The split of each item; those of one voice share it."""
    labels = defaultdict[str, Counter[str]](Counter)
    for item, voice in zip(items, voices, strict=True):
        labels[voice][item.label] += 1
    deal = _Deal(labels, shares)
    for place, (split, percent) in enumerate(shares.items(), start=1):
        deal.take(split, len(items) * percent / 100, len(shares) - place)
    deal.cover()
    return [deal.splits[voice] for voice in voices]


class _Deal:
    """Voices and their splits; all begin in train."""

    def __init__(self, labels: Mapping[str, Counter[str]], shares: Shares) -> None:
        self.labels = labels  # how often each voice says each label
        self.order = sorted(labels, key=lambda voice: (hash_fraction(voice), voice))
        self.splits = dict.fromkeys(self.order, "train")
        self.members = Counter(train=len(self.order))
        self.held = {split: Counter[str]() for split in ("train", *shares)}  # voices that say each label
        self.held["train"] = Counter(label for voice in labels for label in labels[voice])
        self.common = sorted(label for label, count in self.held["train"].items() if count > len(shares))

    def take(self, split: str, goal: float, others: int) -> None:
        """Move voices from train, by their hash, until the size of `split` is closest to `goal` items; at least one.

        others: number of splits that still need a voice from train.
        """
        sizes = {voice: self.labels[voice].total() for voice in self.order}
        large = max(2 * goal, median_low(sizes.values()))
        by_hash = self.order if split == "valid" else self.order[::-1]
        taken = 0
        for voice in sorted(by_hash, key=lambda voice: sizes[voice] > large):  # very large ones last
            if self.splits[voice] != "train" or self.members["train"] <= others + 1 or not self._can_leave(voice):
                continue
            if taken and taken + sizes[voice] - goal >= goal - taken:
                break
            self._move(voice, split)
            taken += sizes[voice]

    def cover(self) -> None:
        """Move voices until all labels that enough voices say are in all splits, or no move helps.

        A voice moves only where no split loses a label by it, so each move adds a label to a split, and the loop ends.
        """
        saying = defaultdict[str, list[str]](list)
        for voice in self.order:
            for label in self.labels[voice]:
                saying[label].append(voice)
        moved = True
        while moved:
            moved = False
            for label in self.common:
                for split, held in self.held.items():
                    if held[label]:
                        continue
                    able = [voice for voice in saying[label] if self._can_leave(voice)]
                    if able:
                        self._move(min(able, key=lambda voice: self.splits[voice] != "train"), split)
                        moved = True

    def _can_leave(self, voice: str) -> bool:
        split = self.splits[voice]
        return self.members[split] > 1 and all(self.held[split][label] > 1 for label in self.labels[voice])

    def _move(self, voice: str, split: str) -> None:
        before = self.splits[voice]
        for label in self.labels[voice]:
            self.held[before][label] -= 1
            self.held[split][label] += 1
        self.members[before] -= 1
        self.members[split] += 1
        self.splits[voice] = split
