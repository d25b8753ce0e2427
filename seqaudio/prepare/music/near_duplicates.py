"""Find versions of one piece (copies, transpositions, arrangements, edited ones) and keep them in one split.

A piece is identified by its top line: the highest sounding pitch, each time it changes. Every twelve successive pitches
make a window, in semitones above its first pitch, so that key, tempo, note values, repeated notes, instruments and most
of the accompaniment make no difference. Two pieces are versions of one another when they share at least four windows,
and a fifth of those of the piece that has fewer. With one pitch in eight changed at random, a fifth of the windows is
left on average.

    corpus                            pieces    clusters    largest
    Nottingham folk tunes (MIDI)       1,034       982          3
    js-fakes, chorales by a net          500       453          8
    piano-midi.de                        243       243          1

Hardly any two unrelated tunes or piano pieces share more than a tenth; chorales share whole phrases. Windows of fewer
than four different pitches, and runs in one direction, are left out: trills, broken chords and scales are everywhere.

A line of 8 to 14 changes has too few windows. It is a version of pieces that are this very line, once or repeated, and
of no others: half of the openings of Nottingham's tunes, 8 changes each, occur in some other tune.

Source: windows of a document as its fingerprint are the shingles of Broder (1997); the highest notes for the melody are
those of Uitdenbogerd & Zobel (1998). Sets are compared whole: a corpus of ten thousand pieces takes seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import sorted_rows
from seqaudio.notes.quantise import grid_steps, pitches_on_grid
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.corpora.splits import SplitName, check_percentages, hash_fraction, hash_split

WIDTH = 12  # pitches of a window
FEWEST_PITCHES = 4  # that are different in a window worth keeping
ALIKE = 0.2  # share of the windows of the smaller piece from which on two pieces are versions of one
FEWEST_SHARED = 4  # windows: of a very short piece a fifth would be one or two
SHORT = range(8, WIDTH + FEWEST_SHARED - 1)  # changes of a line with too few windows; shorter lines agree by chance
STRICTEST: tuple[SplitName, ...] = ("test", "valid", "train")  # what is held out stays held out

_STEPS = 12  # of a quarter: notes that are meant to begin together do, and two pieces count as the same
_SILENT = -1
_CLIQUE = (
    16  # pieces that share a window: up to so many are all compared; of more, each with the next ones and the first
)
# random 64-bit factors, one for each interval of a window: few sums of products collide
_KEYS = np.array([int(hashlib.sha256(bytes([place])).hexdigest()[:16], 16) for place in range(WIDTH)], dtype=np.uint64)

Fingerprint = npt.NDArray[np.uint64]  # [N] rising


@dataclass(frozen=True, eq=False)
class PieceIdentity:
    """A fingerprint of a piece: versions share the hash of a song, or many windows of the melody."""

    contents: tuple[str, ...]  # of each song, a hash of onsets, lengths and intervals of all notes
    melody: Fingerprint
    short: tuple[str, ...] = ()  # a hash of each song's line that is short, or a short line repeated

    @classmethod
    def of(cls, *songs: NoteSequence) -> PieceIdentity:
        """The identity of a file's songs, usually a single one."""
        lines = [top_line(song) for song in songs]
        melody = np.unique(np.concatenate([np.zeros(0, np.uint64), *map(windows_of, lines)]))
        return cls(tuple(content_hash(song) for song in songs), melody, _short(lines))

    def to_bytes(self) -> bytes:
        """The identity as `Row.identity` keeps it."""
        hashes = json.dumps({"contents": self.contents, "short": self.short})
        return hashes.encode("ascii") + b"\n" + self.melody.astype("<u8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PieceIdentity:
        """The inverse of `to_bytes`."""
        hashes, _, melody = data.partition(b"\n")
        known = json.loads(hashes)
        return cls(tuple(known["contents"]), np.frombuffer(melody, "<u8").astype(np.uint64), tuple(known["short"]))

    @classmethod
    def of_roll(cls, roll: npt.NDArray[np.integer[Any]]) -> PieceIdentity:
        """The identity of a binary roll [T, K], its keys from the lowest up."""
        sounding = roll.astype(np.bool_)
        frames = sounding[sounding.any(axis=1)]
        keys = np.flatnonzero(frames.any(axis=0))
        content = frames[:, keys[0] : keys[-1] + 1] if len(keys) else frames
        digest = hashlib.sha256(repr(content.shape).encode() + np.packbits(content).tobytes()).hexdigest()
        line = changes(frames.shape[1] - 1 - np.argmax(frames[:, ::-1], axis=1))
        return cls((digest,), windows_of(line), _short([line]))


def content_hash(song: NoteSequence) -> str:
    """SHA-256 of onsets, lengths and intervals of all notes but percussion, or of all where there is nothing else.

    The same whatever the key, the octave, the tempo, the instruments, the velocities and the silence before the
    first note; onsets and lengths count at twelve steps per quarter.
    """
    start, end, pitch = pitches_on_grid(song, _STEPS, ~song.is_drum | song.is_drum.all())
    start, pitch, end = sorted_rows(start, pitch, end)
    notes = np.empty((3, len(start)), dtype="<i8")
    notes[0], notes[1], notes[2] = start, end - start, pitch
    if len(start):
        notes[0] -= notes[0, 0]
        notes[2] -= notes[2, 0]
    return hashlib.sha256(notes.tobytes()).hexdigest()


def top_line(notes: NoteSequence) -> npt.NDArray[np.int64]:
    """The highest sounding pitch, each time it changes, [M]; percussion and silence are left out."""
    notes = notes.select(~notes.is_drum)
    start, end = grid_steps(notes, _STEPS)
    borders = np.unique(np.concatenate([start, end]))  # nothing changes between two of these
    line = np.full(max(0, len(borders) - 1), _SILENT, dtype=np.int64)
    order = np.argsort(notes.pitch, kind="stable")
    columns = (np.searchsorted(borders, start[order]), np.searchsorted(borders, end[order]), notes.pitch[order])
    for begin, until, pitch in zip(*(column.tolist() for column in columns), strict=True):
        line[begin:until] = pitch  # higher ones come later, and cover what is below
    return changes(line[line != _SILENT])


def changes(line: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The values of a line that differ from their predecessor."""
    differs = np.ones(len(line), dtype=np.bool_)
    differs[1:] = line[1:] != line[:-1]
    return line[differs]


def windows_of(line: npt.NDArray[np.int64]) -> Fingerprint:
    """Hashes of all windows of WIDTH successive pitches of a line, relative to their first; sorted, each once.

    Windows without character (few pitches, or a run in one direction) are left out; a line that is too short has none.
    """
    if len(line) < WIDTH:
        return np.zeros(0, dtype=np.uint64)
    views = np.lib.stride_tricks.sliding_window_view(line, WIDTH)
    views = views[_have_character(views)]
    intervals = (views - views[:, :1]).astype(np.uint64)  # wraps around at 64 bits: only equality counts
    return np.unique((intervals * _KEYS).sum(axis=1, dtype=np.uint64))


def once(line: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """The short line [M] that a line consists of, once or repeated; None where it is none."""
    for length in range(SHORT.start, min(SHORT.stop, len(line) + 1)):
        part = line[:length]
        # where the last pitch is also the first, the repeat begins without a change
        period = length - 1 if part[0] == part[-1] else length
        if (len(line) - length) % period == 0 and np.array_equal(line, np.resize(part[:period], len(line))):
            return part
    return None


def _short(lines: Iterable[npt.NDArray[np.int64]]) -> tuple[str, ...]:
    """Hashes of the lines that are short, relative to their first pitch; those without character are left out."""
    parts = [part for line in lines if (part := once(line)) is not None and _have_character(part[None])[0]]
    return tuple(hashlib.sha256((part - part[0]).astype("<i8").tobytes()).hexdigest() for part in parts)


def _have_character(views: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the parts [N, M] of lines have enough different pitches and do not run in one direction, [N]."""
    pitches = 1 + np.count_nonzero(np.diff(np.sort(views, axis=1), axis=1), axis=1)
    steps = np.diff(views, axis=1)
    wanders = ~((steps > 0).all(axis=1) | (steps < 0).all(axis=1))
    enough: npt.NDArray[np.bool_] = (pitches >= FEWEST_PITCHES) & wanders
    return enough


def similarity(one: Fingerprint, other: Fingerprint) -> float:
    """The share of the smaller set that is also in the other, 0..1; 0 where fewer than FEWEST_SHARED are."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / min(len(one), len(other)) if shared >= FEWEST_SHARED else 0.0


def near_duplicates(pieces: Sequence[PieceIdentity]) -> list[int]:
    """The cluster of each piece: the place of the first piece that a chain of versions connects it with."""
    cluster = list(range(len(pieces)))

    def first_of(place: int) -> int:
        while cluster[place] != place:
            cluster[place] = cluster[cluster[place]]
            place = cluster[place]
        return place

    def join(one: int, other: int) -> None:
        one, other = first_of(one), first_of(other)
        cluster[max(one, other)] = min(one, other)

    places = []  # of pieces to compare: one of several copies is enough
    seen: dict[str, int] = {}
    for place, piece in enumerate(pieces):
        if any(content not in seen for content in piece.contents):
            places.append(place)
        for same in (*piece.contents, *piece.short):
            join(place, seen.setdefault(same, place))
    melodies = [pieces[place].melody for place in places]
    for one, other in _candidates(melodies):
        if similarity(melodies[one], melodies[other]) >= ALIKE:
            join(places[one], places[other])
    return [first_of(place) for place in range(len(pieces))]


def splits_of_pieces(
    pieces: Mapping[str, PieceIdentity],
    valid_percent: float = 10.0,
    test_percent: float = 10.0,
    known: Mapping[str, str] | None = None,
) -> dict[str, SplitName]:
    """The split of each piece; versions of one piece share a split.

    The least hash of its members' contents decides for a cluster, so a piece without versions has the same split in
    every corpus. Where the splits of some members are known, the strictest of them holds for all: test before valid,
    valid before train.

    Where no split is known, no wanted split stays empty if there are enough clusters: valid gets the training cluster
    with the least hash, test the one with the greatest, if training keeps another; otherwise the largest split gives
    one.

    Raises:
        OptionError: percentages that `hash_split` refuses.
        ValueError: an unknown name among the known splits.
    """
    check_percentages(valid_percent, test_percent)
    known = known or {}
    splits: dict[str, SplitName] = {}
    hashed: dict[SplitName, list[tuple[float, list[str]]]] = {"train": [], "valid": [], "test": []}  # hash and cluster
    for cluster in clusters(pieces):
        given = {known[name] for name in cluster if name in known}
        if not given <= set(STRICTEST):
            raise ValueError(f"known splits {sorted(given)}, expected some of {STRICTEST}")
        if given:
            split = next(split for split in STRICTEST if split in given)
        else:
            content = min(content for name in cluster for content in pieces[name].contents)
            split = hash_split(content, valid_percent, test_percent)
            hashed[split].append((hash_fraction(content), cluster))
        splits |= dict.fromkeys(cluster, split)
    wanted: dict[SplitName, float] = {"train": 100.0, "valid": valid_percent, "test": test_percent}
    for empty in () if known else [split for split, percent in wanted.items() if percent and not hashed[split]]:
        giving = "train" if len(hashed["train"]) > 1 else max(hashed, key=lambda split: len(hashed[split]))
        if len(hashed[giving]) > 1:
            moved = max(hashed[giving]) if empty == "test" else min(hashed[giving])
            hashed[giving].remove(moved)
            hashed[empty].append(moved)
            splits |= dict.fromkeys(moved[1], empty)
    return {name: splits[name] for name in pieces}


@dataclass(frozen=True)
class SplitsByContent:
    """A `SplitChoice` of `build_store`: `splits_of_pieces` of what the rows say of their pieces.

    Splits that items have already are the known ones. An item without rows keeps what it has.
    """

    valid_percent: float = 10.0
    test_percent: float = 10.0

    def __call__(self, given: Sequence[str], identities: Sequence[bytes]) -> list[str]:
        pieces = {str(place): PieceIdentity.from_bytes(data) for place, data in enumerate(identities) if data}
        known = {name: split for name in pieces if (split := given[int(name)])}
        splits = splits_of_pieces(pieces, self.valid_percent, self.test_percent, known)
        return [splits.get(str(place), split) for place, split in enumerate(given)]


def clusters(pieces: Mapping[str, PieceIdentity]) -> list[list[str]]:
    """The names of each cluster, in the order of their first members."""
    grouped: dict[int, list[str]] = {}
    for name, cluster in zip(pieces, near_duplicates(list(pieces.values())), strict=True):
        grouped.setdefault(cluster, []).append(name)
    return list(grouped.values())


def _candidates(melodies: Sequence[Fingerprint]) -> Iterable[tuple[int, int]]:
    """Pairs of pieces that share a window, the earlier first.

    Where more than _CLIQUE pieces have a window, each is paired only with its next ones and with the first: all belong
    to one cluster, which these pairs hold together.
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
