"""Which pieces of a corpus are one piece: copies, transpositions, other arrangements and slightly edited versions.

What identifies a piece is its top line: the highest pitch that sounds, each time it changes. Every twelve pitches in a
row make a window, counted in semitones from its first, so that key, tempo, note values, repeats of a note, instruments
and most of the accompaniment make no difference. Two pieces are versions of one another when they share a fifth of the
windows of the one that has fewer, and at least four. With one pitch in eight changed at random a fifth is left on
average.

    corpus                            pieces    families    largest
    Nottingham folk tunes (MIDI)       1,034       982          3
    js-fakes, chorales by a net          500       453          8
    piano-midi.de                        243       243          1

Of unrelated tunes and piano pieces hardly any pair shares more than a tenth; chorales share whole phrases. Windows of
fewer than four pitches, and runs in one direction, are left out: trills, broken chords and scales are in everything.

A line of 8 to 14 changes has too few windows. It is a version of those that are the same line, once or several times
over, and of no others: of the openings of Nottingham's tunes, 8 changes each, half are in some other tune as well.

Source: windows of a document as its fingerprint are the shingles of Broder (1997); the highest notes for the melody are
those of Uitdenbogerd & Zobel (1998). Sets are compared whole: a corpus of ten thousand pieces takes seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import grid_steps
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.corpora.splits import SplitName, check_percentages, hash_fraction, hash_split
from seqaudio.prepare.music.midi_rows import content_hash

WIDTH = 12  # pitches of a window
FEWEST_PITCHES = 4  # that are different in a window worth keeping
ALIKE = 0.2  # share of the windows of the smaller piece from which on two pieces are versions of one
FEWEST_SHARED = 4  # windows: of a very short piece a fifth would be one or two
SHORT = range(8, WIDTH + FEWEST_SHARED - 1)  # changes of a line with too few windows; still shorter ones are chance
STRICTEST: tuple[SplitName, ...] = ("test", "valid", "train")  # what is held out stays held out

_STEPS = 12  # of a quarter: notes that are meant to begin together do
_SILENT = -1
_CLIQUE = 16  # pieces with one window that are all compared; of more, each with these next ones and with the first
# numbers of 64 bits, one for each interval of a window: digits of hashes, so that no few of them add up to another
_KEYS = np.array([int(hashlib.sha256(bytes([place])).hexdigest()[:16], 16) for place in range(WIDTH)], dtype=np.uint64)

Fingerprint = npt.NDArray[np.uint64]  # [N] rising


@dataclass(frozen=True, eq=False)
class PieceIdentity:
    """What tells whether two pieces are one: a song in common, or much of the melody."""

    contents: tuple[str, ...]  # of each song, a hash of onsets, lengths and intervals of all notes
    melody: Fingerprint
    short: tuple[str, ...] = ()  # of each song whose line is short, or such a line over and over, a hash of that

    @classmethod
    def of(cls, *songs: NoteSequence) -> PieceIdentity:
        """Of the songs of one file, usually a single one."""
        lines = [top_line(song) for song in songs]
        melody = np.unique(np.concatenate([np.zeros(0, np.uint64), *map(windows_of, lines)]))
        return cls(tuple(content_hash(song) for song in songs), melody, _short(lines))

    @classmethod
    def of_roll(cls, frames: npt.NDArray[np.integer[Any]]) -> PieceIdentity:
        """Of a binary roll [T, K], its keys from the lowest up."""
        sounding = frames.astype(np.bool_)
        heard = sounding[sounding.any(axis=1)]
        keys = np.flatnonzero(heard.any(axis=0))
        content = heard[:, keys[0] : keys[-1] + 1] if len(keys) else heard
        digest = hashlib.sha256(repr(content.shape).encode() + np.packbits(content).tobytes()).hexdigest()
        line = changes(heard.shape[1] - 1 - np.argmax(heard[:, ::-1], axis=1))
        return cls((digest,), windows_of(line), _short([line]))


def top_line(notes: NoteSequence) -> npt.NDArray[np.int64]:
    """[M] the highest pitch that sounds, each time it changes; percussion and silence are left out."""
    notes = notes.select(~notes.is_drum)
    start, end = grid_steps(notes, _STEPS)
    borders = np.unique(np.concatenate([start, end]))  # nothing changes between two of these, however long that is
    line = np.full(max(0, len(borders) - 1), _SILENT, dtype=np.int64)
    order = np.argsort(notes.pitch, kind="stable")
    columns = (np.searchsorted(borders, start[order]), np.searchsorted(borders, end[order]), notes.pitch[order])
    for begin, until, pitch in zip(*(column.tolist() for column in columns), strict=True):
        line[begin:until] = pitch  # higher ones come later, and cover what is below
    return changes(line[line != _SILENT])


def changes(line: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The values of a line that differ from the one before."""
    differs = np.ones(len(line), dtype=np.bool_)
    differs[1:] = line[1:] != line[:-1]
    return line[differs]


def windows_of(line: npt.NDArray[np.int64]) -> Fingerprint:
    """Every WIDTH successive pitches of a line, whatever their key, as numbers, rising, each once.

    Those of no character are left out; none is there where the line is too short.
    """
    if len(line) < WIDTH:
        return np.zeros(0, dtype=np.uint64)
    views = np.lib.stride_tricks.sliding_window_view(line, WIDTH)
    views = views[_have_character(views)]
    intervals = (views - views[:, :1]).astype(np.uint64)  # of 64 bits, round the end: only equality counts
    return np.unique((intervals * _KEYS).sum(axis=1, dtype=np.uint64))


def once(line: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """The short line [M] that a line is, once or several times over; None where it is no such line."""
    for length in range(SHORT.start, min(SHORT.stop, len(line) + 1)):
        part = line[:length]
        # where its last pitch is its first, the second time begins without a change
        period = length - 1 if part[0] == part[-1] else length
        if (len(line) - length) % period == 0 and np.array_equal(line, np.resize(part[:period], len(line))):
            return part
    return None


def _short(lines: Iterable[npt.NDArray[np.int64]]) -> tuple[str, ...]:
    """Hashes of those lines that are short ones, whatever their key; those of no character left out."""
    parts = [part for line in lines if (part := once(line)) is not None and _have_character(part[None])[0]]
    return tuple(hashlib.sha256((part - part[0]).astype("<i8").tobytes()).hexdigest() for part in parts)


def _have_character(views: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """[N] which of the parts [N, M] of lines have pitches enough, and do not run in one direction."""
    pitches = 1 + np.count_nonzero(np.diff(np.sort(views, axis=1), axis=1), axis=1)
    steps = np.diff(views, axis=1)
    wanders = ~((steps > 0).all(axis=1) | (steps < 0).all(axis=1))
    enough: npt.NDArray[np.bool_] = (pitches >= FEWEST_PITCHES) & wanders
    return enough


def likeness(one: Fingerprint, other: Fingerprint) -> float:
    """The share of the smaller set that is in the other, 0..1; 0 where fewer than FEWEST_SHARED are."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / min(len(one), len(other)) if shared >= FEWEST_SHARED else 0.0


def near_duplicates(pieces: Sequence[PieceIdentity]) -> list[int]:
    """The family of each piece: the place of the first piece to which versions lead, each a version of the next."""
    family = list(range(len(pieces)))

    def first_of(place: int) -> int:
        while family[place] != place:
            family[place] = family[family[place]]
            place = family[place]
        return place

    def join(one: int, other: int) -> None:
        one, other = first_of(one), first_of(other)
        family[max(one, other)] = min(one, other)

    places = []  # copies have the same windows: one of each is enough
    seen: dict[str, int] = {}
    for place, piece in enumerate(pieces):
        if any(content not in seen for content in piece.contents):
            places.append(place)
        for same in (*piece.contents, *piece.short):
            join(place, seen.setdefault(same, place))
    melodies = [pieces[place].melody for place in places]
    for one, other in _candidates(melodies):
        if likeness(melodies[one], melodies[other]) >= ALIKE:
            join(places[one], places[other])
    return [first_of(place) for place in range(len(pieces))]


def splits_of_pieces(
    pieces: Mapping[str, PieceIdentity],
    valid_percent: float = 10.0,
    test_percent: float = 10.0,
    known: Mapping[str, str] | None = None,
) -> dict[str, SplitName]:
    """The split of each piece; versions of one piece are never in two.

    A family goes by the least hash of its members' contents, so that a piece without versions has the same split in
    every corpus. Where the splits of some members are known, the strictest of them holds for all: test before valid,
    valid before train.

    A training needs validation: where no split is known and a corpus is so small that valid would stay empty, it gets
    the family of train with the least hash, unless that is all there is to train on. It is never one of test.

    Raises:
        OptionError: percentages that `hash_split` refuses.
        ValueError: a known split that is none.
    """
    check_percentages(valid_percent, test_percent)
    known = known or {}
    splits: dict[str, SplitName] = {}
    training: list[tuple[float, list[str]]] = []  # families that train by their hash, behind it
    for family in families(pieces):
        given = {known[name] for name in family if name in known}
        if not given <= set(STRICTEST):
            raise ValueError(f"known splits {sorted(given)}, expected some of {STRICTEST}")
        if given:
            split = next(split for split in STRICTEST if split in given)
        else:
            content = min(content for name in family for content in pieces[name].contents)
            split = hash_split(content, valid_percent, test_percent)
            if split == "train":
                training.append((hash_fraction(content), family))
        splits |= dict.fromkeys(family, split)
    if valid_percent and training and not known and "valid" not in splits.values():
        _, least = min(training)
        if list(splits.values()).count("train") > len(least):
            splits |= dict.fromkeys(least, "valid")
    return {name: splits[name] for name in pieces}


def families(pieces: Mapping[str, PieceIdentity]) -> list[list[str]]:
    """The names of each family, in the order of their first members."""
    grouped: dict[int, list[str]] = {}
    for name, family in zip(pieces, near_duplicates(list(pieces.values())), strict=True):
        grouped.setdefault(family, []).append(name)
    return list(grouped.values())


def _candidates(melodies: Sequence[Fingerprint]) -> Iterable[tuple[int, int]]:
    """Pairs of pieces, the earlier first, that share a window: all of them where few pieces have it.

    Where more than _CLIQUE have one, each is paired with those next to it and with the first: they are of one
    family, and these pairs hold it together.
    """
    owners = np.repeat(np.arange(len(melodies), dtype=np.int64), [len(melody) for melody in melodies])
    windows = np.concatenate([np.zeros(0, np.uint64), *melodies])
    order = np.lexsort((owners, windows))
    owners, windows = owners[order], windows[order]
    begins = np.ones(len(windows), dtype=np.bool_)
    begins[1:] = windows[1:] != windows[:-1]
    leaders = owners[np.flatnonzero(begins)][np.cumsum(begins) - 1] if len(windows) else owners
    pairs = [(leaders, owners)]
    for ahead in range(1, _CLIQUE):
        same = windows[ahead:] == windows[:-ahead]
        pairs.append((owners[:-ahead][same], owners[ahead:][same]))
    codes = np.concatenate([one * len(melodies) + other for one, other in pairs])
    one, other = np.divmod(np.unique(codes), max(1, len(melodies)))
    return zip(one[one < other].tolist(), other[one < other].tolist(), strict=True)
