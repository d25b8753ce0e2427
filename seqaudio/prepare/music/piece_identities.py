"""A first look at MIDI files, before a preparation: which of them are one piece, and so belong into one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from seqaudio.errors import MidiError, OptionError
from seqaudio.midi.reading import read_many
from seqaudio.prepare.build import Item
from seqaudio.prepare.build.pool import completed
from seqaudio.prepare.music.near_duplicates import PieceIdentity, splits_of_pieces
from seqaudio.progress import progress

CHUNK = 64  # files that a worker looks at in one go


class _Seen(NamedTuple):
    keys: Sequence[str]  # of the items
    identities: Sequence[PieceIdentity | None]


def identities_of(items: Sequence[Item], workers: int = 1) -> dict[str, PieceIdentity]:
    """What tells each file's piece, by the key of its item; files that cannot be read are left out.

    Raises:
        OptionError: workers below 1.
    """
    if workers < 1:
        raise OptionError(f"--workers {workers}, expected at least 1")
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    found: dict[str, PieceIdentity | None] = {}
    with progress("comparing", len(items), "pieces") as advance:
        for seen in completed(_look, chunks, workers, None):
            found.update(zip(seen.keys, seen.identities, strict=True))
            advance(len(seen.keys))
    identities = {item.key: found[item.key] for item in items}  # in their order, whichever worker was first
    return {key: identity for key, identity in identities.items() if identity is not None}


def with_splits_by_content(
    items: Sequence[Item],
    valid_percent: float = 10.0,
    test_percent: float = 10.0,
    *,
    known: Mapping[str, str] | None = None,
    workers: int = 1,
) -> list[Item]:
    """The items with the splits of `splits_of_pieces`. A file that cannot be read keeps what it has.

    Args:
        known: splits by keys of items.
    """
    splits = splits_of_pieces(identities_of(items, workers), valid_percent, test_percent, known)
    return [replace(item, split=splits.get(item.key, item.split)) for item in items]


def _look(items: Sequence[Item]) -> _Seen:
    read = read_many((item.file for item in items), pedal="unread")
    identities = [None if isinstance(songs, MidiError) else PieceIdentity.of(*songs) for songs in read]
    return _Seen([item.key for item in items], identities)
