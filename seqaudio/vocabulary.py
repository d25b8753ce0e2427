"""Vocabularies: ordered names of a classifier's labels, a representation's tokens or a text's symbols."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from seqaudio.errors import VocabularyError
from seqaudio.terminal import few

PAD, BOS, EOS = 0, 1, 2  # ids of the first three tokens of every token vocabulary
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>")
NAMED = 20  # names in a message
MOST_FILLED = 8  # bars that a model of music fills in at once
# what a model that fills in bars has behind its vocabulary: a mark for each number of missing bars, one before them
FILL_MARKS = (*(f"<gap_{bars}>" for bars in range(1, MOST_FILLED + 1)), "<fill>")
ConditionName = Literal["key", "tempo", "metre", "density"]  # what a model of music can be told of a piece
Level = Literal["low", "medium", "high"]  # of a tempo or a density, beside the other training pieces
UNKNOWN_WORD = "<unk>"  # every word that a model of words does not know
UNKNOWN, SILENCE = "unknown", "silence"  # reject classes of a keyword recogniser, always last


@dataclass(frozen=True)
class Vocabulary:
    """Names in the order of their ids, normalised to NFC. Raises ValueError unless they are unique and not empty."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        names = tuple(unicodedata.normalize("NFC", name) for name in self.names)
        object.__setattr__(self, "names", names)
        if len(set(names)) != len(names) or "" in names:
            twice = [name for name, count in Counter(names).items() if count > 1 or not name]
            raise ValueError(
                f"got {few(map(repr, twice), NAMED)} twice or empty, expected unique names that are not empty"
            )

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> Vocabulary:
        """The distinct labels sorted by code point, with `unknown` and `silence` last where they occur."""
        distinct = {unicodedata.normalize("NFC", label) for label in labels}
        reject = [name for name in (UNKNOWN, SILENCE) if name in distinct]
        return cls((*sorted(distinct.difference(reject)), *reject))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __getitem__(self, index: int) -> str:
        return self.names[index]

    def index(self, name: str) -> int:
        """The id of a name. Raises VocabularyError for an unknown name."""
        try:
            return self._ids[unicodedata.normalize("NFC", name)]
        except KeyError:
            raise VocabularyError(f"{name!r} is not among the {len(self)} names: {few(self.names, NAMED)}") from None

    def encode(self, names: Iterable[str], reject: str = UNKNOWN) -> np.ndarray:
        """Ids [N] int64 of names; an unknown name gets the id of `reject` where that is a name.

        Raises:
            VocabularyError: unknown names without such a name for them; each is listed once.
        """
        names = [unicodedata.normalize("NFC", name) for name in names]
        unknown = sorted({name for name in names if name not in self._ids})
        if unknown and reject not in self._ids:
            raise VocabularyError(
                f"label{'s' * (len(unknown) > 1)} {few(unknown, NAMED)} not among the {len(self)} known: "
                f"{few(self.names, NAMED)}; train with a class {reject!r} or leave these items out"
            )
        return np.array([self._ids.get(name, self._ids.get(reject, -1)) for name in names], dtype=np.int64)


def alike_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that differ in case, spaces or Unicode form alone, such as `Yes` and `yes `, in their order."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
