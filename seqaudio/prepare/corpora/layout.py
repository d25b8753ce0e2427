"""Understand folders of recordings: which folders name splits, and which name labels."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from seqaudio.prepare.corpora.splits import SplitName

# usual names of splits, in small letters and as `_bare` leaves them
SPLIT_NAMES: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "valid": "valid",
    "validation": "valid",
    "validate": "valid",
    "val": "valid",
    "dev": "valid",
    "devel": "valid",
    "development": "valid",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "heldout": "test",
    "holdout": "test",
}
EVALUATION = ("eval", "evaluation")  # valid beside a test split, else test
SHOWN = 4  # folders that a line names
# of folders that name no splits, from the source down
FolderOrder = Literal["label", "speaker", "label/speaker", "speaker/label"]
SPEAKERS_TOO = "where folders name speakers, too, give --folders label/speaker, or --folders speaker/label"


def split_names(names: Iterable[str]) -> dict[str, SplitName]:
    """The split that each name means, in any case: `Train`, `dev`, `test_set`; names that mean none are left out."""
    bare = {name: _bare(name) for name in names}
    known = {name: SPLIT_NAMES[word] for name, word in bare.items() if word in SPLIT_NAMES}
    evaluation: SplitName = "valid" if set(known.values()) >= {"test"} and "valid" not in known.values() else "test"
    return {
        name: known.get(name, evaluation) for name, word in bare.items() if word in SPLIT_NAMES or word in EVALUATION
    }


def _bare(name: str) -> str:
    """A name in small letters, without punctuation, without numbers before and words such as `set` after it."""
    letters = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"^\d+", "", re.sub(r"(?<=..)(sets?|data|split)$", "", letters))


class Place(NamedTuple):
    """Split, label and speaker of a recording, from the names of its folders."""

    split: str  # empty: they name none
    label: str  # empty: they name none
    stray: str = ""  # a folder beside those of splits; its recordings belong to none
    speaker: str = ""  # empty: they name none
    unused: str = ""  # the first folder, further down, that names nothing


class Layout:
    """Folders of recordings: `FOLDER/label`, `FOLDER/split/label` or `FOLDER/label/split`.

    In place of `label` there may be `speaker`, `label/speaker` or `speaker/label`, where `order` says so; folders
    further down name nothing. A folder that holds all recordings, such as that of an archive, does not count. The
    others are splits if all have names of splits; or if two at least have, one of them that of training, hold further
    folders, and are no fewer than the folders beside them.

    Args:
        folders: of each recording, from the source down.
        order: what the folders name that name no splits, a FolderOrder.
    """

    def __init__(self, folders: Iterable[Sequence[str]], order: FolderOrder = "label") -> None:
        self.order = order.split("/")
        everything = [tuple(parts) for parts in folders]
        self.wrapper = _wrapper(everything)
        depth = len(self.wrapper)
        below = [parts[depth:] for parts in everything if len(parts) > depth]
        self.splits = _splits(below)
        self.within = False  # whether the folders of splits are in those of labels
        if not self.splits and (inner := _splits_within(below)):
            self.splits, self.within = inner, True
        self.places = [self._place(parts[depth:]) for parts in everything]

    def _place(self, parts: Sequence[str]) -> Place:
        if self.splits and not self.within and parts and parts[0] not in self.splits:
            return Place("", "", parts[0])
        at = 1 if self.within else 0
        split = self.splits[parts[at]] if self.splits and len(parts) > at else ""
        rest = [*parts[:at], *parts[at + 1 :]] if self.splits else parts
        named = dict(zip(self.order, rest, strict=False))
        unused = rest[len(self.order)] if len(rest) > len(self.order) else ""
        return Place(split, named.get("label", ""), speaker=named.get("speaker", ""), unused=unused)

    def description(self) -> list[str]:
        """How the folders were understood, in lines."""
        labels = {place.label for place in self.places if place.label}
        speakers = {place.speaker for place in self.places if place.speaker}
        of_speakers = f"{len(speakers):,} speaker{'s' if len(speakers) != 1 else ''} by folders"
        line = f"{len(labels):,} label{'s' if len(labels) != 1 else ''} by folders"
        if "label" not in self.order:
            line, speakers = of_speakers, set()
        if self.splits:
            order: list[str] = ["train", "valid", "test"]
            pairs = sorted(self.splits.items(), key=lambda pair: (order.index(pair[1]), pair[0]))
            known = len(set(self.splits.values()))
            line = f"{line[: -len(' by folders')]} in {known} split{'s' if known > 1 else ''} by folders: " + ", ".join(
                name if name == split else f"{name} → {split}" for name, split in pairs
            )
        if self.wrapper:
            line += f"; all in {'/'.join(self.wrapper)}/"
        if speakers:
            line += f"; {of_speakers}"
        strays = _counted(place.stray for place in self.places)
        unused = _counted(place.unused for place in self.places)
        speakers_too = f"; {SPEAKERS_TOO}" if self.order == ["label"] else ""
        return [
            line,
            *([f"left out, as their folder names no split: {strays}"] if strays else []),
            *(
                [f"folders within those of the {self.order[-1]}s are not used: {unused}{speakers_too}"]
                if unused
                else []
            ),
        ]


def _counted(folders: Iterable[str]) -> str:
    """Folders, and how many recordings each holds, in words; empty names are left out."""
    counts = sorted(Counter(filter(None, folders)).items())
    shown = ", ".join(f"{name}/ ({count:,} recording{'s' if count > 1 else ''})" for name, count in counts[:SHOWN])
    return shown + (f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else "")


def _wrapper(folders: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The folders that hold all recordings and only folders."""
    depth = 0
    while (
        folders
        and all(len(parts) > depth + 1 for parts in folders)
        and len(tops := {parts[depth] for parts in folders}) == 1
        and not split_names(tops)
    ):
        depth += 1
    return tuple(folders[0][:depth]) if folders else ()


def _splits(below: Sequence[Sequence[str]]) -> dict[str, SplitName]:
    """The split of each top folder that names one; empty where they are labels."""
    tops = {parts[0] for parts in below}
    named = split_names(tops)
    deep = all(len(parts) > 1 for parts in below if parts[0] in named)
    several = len(set(named.values())) > 1
    if len(named) == len(tops):
        return named if deep or several else {}
    # "train" may be a word among others
    return named if deep and several and "train" in named.values() and 2 * len(named) >= len(tops) else {}


def _splits_within(below: Sequence[Sequence[str]]) -> dict[str, SplitName]:
    """The split of each folder within folders of labels; empty unless all of them name splits."""
    inner = defaultdict[str, set[str]](set)
    for parts in below:
        inner[parts[1] if len(parts) > 1 else ""].add(parts[0])
    named = split_names(inner)
    return named if len(named) == len(inner) and {"train", "test"} <= set(named.values()) else {}
