"""The representations `tonicnet` and `tonicnet_notes`: a chord and four voices a step, as in the TonicNet protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, SeenTokens
from seqaudio.tokens.four_voices import VOICES, FourVoiceRepresentation, four_voices
from seqaudio.tokens.representation import FIRST_ID, REPRESENTATIONS, Grammar, refuse_special
from seqaudio.tokens.voice import Voice
from seqaudio.vocabulary import EOS

LOWEST, HIGHEST = 36, 81  # pitches that have tokens, both inclusive: those of the published chorales
SILENT = -1  # in a grid of pitches
ORDER = (0, 3, 1, 2)  # of the voices in a step: soprano, bass, alto, tenor

REST = FIRST_ID
NOTE = REST + 1  # the id of the lowest pitch
CHORD = NOTE + HIGHEST - LOWEST + 1  # the id of the first chord
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
QUALITIES = {"": (4, 7), "m": (3, 7), "dim": (3, 6), "aug": (4, 8)}  # third and fifth above the root, in semitones
OTHER, NONE = 48, 49  # chords: another one, and silence
CHORDS = (*(root + quality for quality in QUALITIES for root in PITCH_CLASSES), "other", "none")


class Steps(NamedTuple):
    """The form of the steps of a stream."""

    tokens: int  # of a step
    given: int  # leading ones that say nothing but what the others tell, so that likelihoods leave them out


Grid = npt.NDArray[np.int64]  # [T, 4] pitches, SILENT where a voice is; the soprano first, the bass last


@dataclass(frozen=True)
class _TonicNetRepresentation(FourVoiceRepresentation):
    """Base class of both: every step whole, repeated pitches without a beginning of their own."""

    keeps: ClassVar[str] = f"pitches {LOWEST}..{HIGHEST} of four voices, repeated ones joined"
    instead: ClassVar[str] = "chorale"
    with_chords: ClassVar[bool]

    @property
    def step_tokens(self) -> int:
        """Tokens of a step."""
        return len(VOICES) + self.with_chords

    @property
    def event_tokens(self) -> tuple[str, ...]:
        notes = tuple(f"note_{pitch}" for pitch in range(LOWEST, HIGHEST + 1))
        return ("rest", *notes, *(f"chord_{chord}" for chord in CHORDS if self.with_chords))

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(self._grid(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        grid = self._grid(notes)
        ids = np.where(grid == SILENT, REST, grid - LOWEST + NOTE)[:, ORDER]
        if self.with_chords:
            ids = np.column_stack([CHORD + chords_of(grid), ids])
        return ids.reshape(-1).astype(np.int64)

    def grammar(self) -> Grammar:
        return StepGrammar(self.with_chords)

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        """A new grammar within bounds; where tokens are barred, only chords that the others can sound."""
        if bounds.barred is None:
            return super().bounded(bounds)
        pitches = self.token_pitches[bounds.tokens]
        classes = tuple(sorted({int(pitch) % 12 for pitch in pitches if pitch >= 0}))
        return SeenTokens(StepGrammar(self.with_chords, classes, bool(bounds.tokens[REST])), bounds)

    def _notes(self, events: list[int]) -> NoteSequence:
        ids = np.array(events, dtype=np.int64).reshape(-1, self.step_tokens)[:, -len(VOICES) :]
        grid = np.empty_like(ids)
        grid[:, ORDER] = np.where(ids == REST, SILENT, ids - NOTE + LOWEST)
        return self._sequence(grid)

    def _grid(self, notes: NoteSequence) -> Grid:
        """The pitch of each voice at each step, up to the last step in which one sounds."""
        voices = four_voices(notes, self.steps_per_quarter)
        grid = np.full((max((int(voice.end.max(initial=0)) for voice in voices), default=0), len(VOICES)), SILENT)
        for column, voice in enumerate(voices):
            for start, end, pitch in zip(*voice, strict=True):
                if LOWEST <= pitch <= HIGHEST:
                    grid[start:end, column] = pitch
        sounding = np.flatnonzero((grid != SILENT).any(axis=1))
        return grid[: sounding.max(initial=-1) + 1]

    def _sequence(self, grid: Grid) -> NoteSequence:
        """The notes of a grid: successive steps of one pitch are one note."""
        return self.notes_of_voices([_joined(column) for column in grid.T])


@REPRESENTATIONS.register("tonicnet")
@dataclass(frozen=True)
class TonicNetRepresentation(_TonicNetRepresentation):
    """5 T tokens for T steps: chord, soprano, bass, alto, tenor of step 0, then of step 1, and so on.

        id          token          meaning
        0, 1, 2     PAD BOS EOS
        3           rest           the voice is silent in this step
        4 .. 49     note_36 ..     pitch 36 .. 81 sounds; it continues where it did in the step before
        50 .. 61    chord_C ..     a major chord on C, C#, .., B; also a third alone
        62 .. 73    chord_Cm ..    a minor one; 74 .. 85 chord_Cdim .. diminished; 86 .. 97 chord_Caug .. augmented
        98, 99      chord_other    another one; chord_none: all voices are silent

    A chord names what the four voices of its own step sound (`chord_of`), so it tells a model much about the tokens
    that follow it: a figure with it does not compare with one without. The grammar permits only voices that have the
    chord. Decoded notes are those of the voices. Pitches outside 36..81 are left out, and repeated ones joined.

    The published annotation of the JSB Chorales has the same chord in 98.1 % of the steps; the others are diminished
    seventh and augmented chords, each note of which could be the root, and dissonances.

    Source: Peracha (2019), "Improving polyphonic music modelling with feature-rich encoding".
    """

    name: ClassVar[str] = "tonicnet"
    with_chords: ClassVar[bool] = True


@REPRESENTATIONS.register("tonicnet_notes")
@dataclass(frozen=True)
class TonicNetNotesRepresentation(_TonicNetRepresentation):
    """4 T tokens for T steps: soprano, bass, alto and tenor, as in `tonicnet`, with its ids, without chords.

        id          token          meaning
        0, 1, 2     PAD BOS EOS
        3           rest           the voice is silent in this step
        4 .. 49     note_36 ..     pitch 36 .. 81 sounds; it continues where it did in the step before

    Source: as `tonicnet`.
    """

    name: ClassVar[str] = "tonicnet_notes"
    with_chords: ClassVar[bool] = False


def steps_of(settings: Mapping[str, Any]) -> Steps | None:
    """The form of the steps in a store, by its settings; None where steps differ in their tokens."""
    name = settings.get("representation", {}).get("name")
    if name not in REPRESENTATIONS:  # a user's own is not there without --use
        return None
    kind = REPRESENTATIONS[name]
    if not issubclass(kind, _TonicNetRepresentation):
        return None
    return Steps(len(VOICES) + kind.with_chords, int(kind.with_chords))


class StepGrammar(Grammar):
    """Whole steps; voices that have the chord of their step; the last step is not silent."""

    def __init__(self, with_chords: bool, classes: tuple[int, ...] = tuple(range(12)), rests: bool = True) -> None:
        self._chords = with_chords
        self._choice = (classes, rests)  # pitch classes that voices may have, and whether they may be silent
        self._tokens = len(VOICES) + with_chords  # of a step
        self._size = CHORD + with_chords * len(CHORDS)
        self._place = 0  # in the step, of the token that comes next
        self._chord = OTHER  # of the step
        self._classes = 0  # bit p: pitch class p sounds in the voices so far of this step, or of the last whole one
        self._begun = False
        self._ended = False

    @property
    def _silent(self) -> bool:
        """Whether the last whole step was silent; not so before the first."""
        return self._begun and not self._classes

    @property
    def _voice(self) -> int:
        """The place among the voices of the token that comes next; -1 for a chord."""
        return self._place - self._chords

    def push(self, token: int) -> None:
        refuse_special(token, self._size)
        if self._ended:
            raise ValueError("nothing follows <eos>")
        if token == EOS and not self._place:
            if self._silent:
                raise ValueError("a piece must not end with a silent step")
            self._ended = True
            return
        if self._voice < 0:
            if token < CHORD:
                raise ValueError("a step begins with its chord")
            self._chord, self._classes = token - CHORD, 0
        else:
            self._push_voice(token)
        self._begun = True
        self._place = (self._place + 1) % self._tokens

    def _push_voice(self, token: int) -> None:
        name = VOICES[ORDER[self._voice]].lower()
        if not REST <= token < CHORD:
            raise ValueError(f"the {name} of this step must come first")
        classes = (self._classes if self._voice else 0) | _bits()[token - REST]
        if self._chords and not _reachable(len(VOICES) - 1 - self._voice)[classes, self._chord]:
            raise ValueError(f"with this {name} the chord cannot be {CHORDS[self._chord]}")
        self._classes = int(classes)

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        legal = np.zeros(self._size, dtype=np.bool_)
        if self._ended:
            return legal
        needed = np.full(self._size, self._tokens - self._place)  # fewest tokens to the end, the token itself included
        needed[EOS] = 0
        legal[EOS] = not self._place and not self._silent
        if self._voice < 0:
            legal[CHORD:] = _reachable(len(VOICES), *self._choice)[0]
            needed[CHORD + NONE] += self._tokens  # a silent step needs another one after it
        else:
            left = len(VOICES) - 1 - self._voice
            classes = (self._classes if self._voice else 0) | _bits()
            legal[REST:CHORD] = _reachable(left, *self._choice)[classes, self._chord] if self._chords else True
            silent = self._chord == NONE if self._chords else not left and not classes[0]
            needed[REST] += silent * self._tokens
        return legal if room is None else legal & (needed <= room)

    def shortest_end(self) -> int:
        if self._ended:
            return 0
        if not self._place:
            return self._tokens * self._silent
        return self._tokens - self._place + self._tokens * (self._chords and self._chord == NONE)


# --- chords ---


def chord_of(pitch_classes: frozenset[int]) -> int:
    """The number in CHORDS of the chord of pitch classes, each in 0..11.

    Its root is the note that has the most of a third, a fifth, a seventh, a second, a fourth and a sixth above it, in
    this order, a plain stack of thirds before all others. If several are equal, which only symmetric chords are, it is
    the highest pitch class. The quality is that of third and fifth; without a fifth, of the third.
    """
    if not pitch_classes:
        return NONE
    root = max(pitch_classes, key=lambda root: (*_rootness(root, pitch_classes), root))
    above = {(other - root) % 12 for other in pitch_classes}
    if (3 in above) == (4 in above):  # no third, or two
        return OTHER
    third = 3 if 3 in above else 4
    fifth = next((fifth for fifth in (7, 6 if third == 3 else 8) if fifth in above), 7)
    return list(QUALITIES.values()).index((third, fifth)) * 12 + root


STEPS_ABOVE = (0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6)  # letters from the root to a note so many semitones above it
BY_WEIGHT = (2, 4, 6, 1, 3, 5)  # third, fifth, seventh, second, fourth, sixth
STACKS = ({0, 2}, {0, 2, 4}, {0, 2, 4, 6})


def _rootness(root: int, pitch_classes: frozenset[int]) -> tuple[bool, float]:
    above = {(other - root) % 12 for other in pitch_classes}
    steps = [STEPS_ABOVE[semitones] for semitones in above]
    if 4 in above and 8 in above and 7 not in above:  # an augmented fifth, no sixth
        steps[steps.index(5)] = 4
    if {3, 6, 9} <= above:  # a diminished seventh, no sixth
        steps[steps.index(5)] = 6
    stack = set(steps) in STACKS and len(set(steps)) == len(steps)
    return stack, sum(1 / (6 + place) for place, step in enumerate(BY_WEIGHT) if step in steps)


def chords_of(grid: Grid) -> npt.NDArray[np.int64]:
    """The chord [T] of each step of a grid."""
    bits = np.where(grid == SILENT, 0, 1 << (grid % 12))
    chords: npt.NDArray[np.int64] = _reachable(0)[np.bitwise_or.reduce(bits, axis=1)].argmax(axis=1)
    return chords


@lru_cache(maxsize=1)
def _bits() -> npt.NDArray[np.int64]:
    """The bit of the pitch class of each token from REST on; 0 for REST."""
    return np.array([0, *(1 << pitch % 12 for pitch in range(LOWEST, HIGHEST + 1))])


@lru_cache(maxsize=64)
def _reachable(voices: int, classes: tuple[int, ...] = tuple(range(12)), rests: bool = True) -> npt.NDArray[np.bool_]:
    """[4096, 50] which chords may be those of a step, by its pitch classes so far as bits and `voices` to come.

    classes, rests: what the voices to come may sound, and whether they may be silent.
    """
    reachable = np.zeros((1 << 12, len(CHORDS)), dtype=np.bool_)
    sizes = np.array([mask.bit_count() for mask in range(1 << 12)])
    for mask in np.flatnonzero(sizes <= len(VOICES) - voices).tolist():
        if not voices:
            reachable[mask, chord_of(frozenset(bit for bit in range(12) if mask >> bit & 1))] = True
        else:
            after = [*([mask] if rests else []), *(mask | 1 << bit for bit in classes)]
            reachable[mask] = _reachable(voices - 1, classes, rests)[after].any(axis=0)
    return reachable


def _joined(pitches: npt.NDArray[np.int64]) -> Voice:
    """The notes of one voice [T], each as long as its pitch lasts."""
    start = np.flatnonzero(np.diff(pitches, prepend=SILENT - 1))
    end = np.append(start[1:], len(pitches)) if len(start) else start
    kept = pitches[start] != SILENT
    return Voice(start[kept], end[kept], pitches[start][kept])
