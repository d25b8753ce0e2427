"""Identities of the pieces in MIDI files, without preparing them: for the tables of splits beside scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqaudio.errors import MidiError, OptionError
from seqaudio.midi.reading import read_many
from seqaudio.prepare.engine import Item
from seqaudio.prepare.engine.pool import completed
from seqaudio.prepare.music.near_duplicates import PieceIdentity
from seqaudio.progress import progress

CHUNK = 64  # files that a worker looks at in one go


class _Seen(NamedTuple):
    keys: Sequence[str]  # of the items
    identities: Sequence[PieceIdentity | None]


def identities_of(items: Sequence[Item], workers: int = 1) -> dict[str, PieceIdentity]:
    """The identity of each file's piece, by the key of its item; unreadable files are left out.

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


def _look(items: Sequence[Item]) -> _Seen:
    read = read_many((item.file for item in items), pedal="unread")
    identities = [None if isinstance(songs, MidiError) else PieceIdentity.of(*songs) for songs in read]
    return _Seen([item.key for item in items], identities)
