"""The representation `melody`: one voice on a grid, at each step a note, a hold or a rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.sequence import DEFAULT_TEMPO, NoteSequence
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar, TokenRepresentation, refuse_special
from seqaudio.tokens.voice import (
    HOLD,
    NAMES,
    NOTE,
    REST,
    VOCABULARY_END,
    Voice,
    voice_from_tokens,
    voice_of,
    voice_tokens,
)
from seqaudio.vocabulary import EOS


@REPRESENTATIONS.register("melody")
@dataclass(frozen=True)
class MelodyRepresentation(TokenRepresentation):
    """One token for each step.

        id          token        meaning
        0, 1, 2     PAD BOS EOS
        3           rest         nothing sounds in this step
        4           hold         the note continues; only after a note or a hold
        5 + p       note_p       pitch p begins, p in 0..127, both inclusive

    A melody ends with a note or a hold: rests after the last note are not written. The melody of a track is its
    skyline: a note is cut where a higher one, or the same pitch again, begins; a lower one that begins while it sounds
    is left out. Velocities and tempo are not written; `quantise` sets them.
    """

    name: ClassVar[str] = "melody"
    keeps: ClassVar[str] = "the highest voice of one track alone"
    instead: ClassVar[str] = "performance"

    steps_per_quarter: int = 4  # 4: sixteenths
    track: Literal["highest", "first"] = "highest"  # the track of the highest mean pitch, or the first with notes
    velocity: int = 80  # of all decoded notes, 1..127
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of decoded pieces

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 960:
            raise OptionError(f"{self.steps_per_quarter} steps per quarter, expected 1..960")
        if self.track not in ("highest", "first"):
            raise OptionError(f"melody track {self.track!r}, expected 'highest' or 'first'")
        if not 1 <= self.velocity <= 127 or not 1 <= self.tempo <= 0xFFFFFF:
            raise OptionError(f"velocity {self.velocity} and tempo {self.tempo}, expected 1..127 and 1..16777215")

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return NAMES

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(voice_of(notes, self.steps_per_quarter, self._track(notes)))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        voice = voice_of(notes, self.steps_per_quarter, self._track(notes))
        return voice_tokens(voice, int(voice.end.max(initial=0)))

    def onsets(self, encoded: npt.NDArray[np.int64]) -> Onsets:
        step = np.flatnonzero(encoded >= NOTE)
        return Onsets(step, encoded[step] - NOTE, self.steps_per_quarter)

    def grammar(self) -> Grammar:
        return MelodyGrammar()

    @property
    def ends_on_bars(self) -> bool:
        return True

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        return BoundedMelody(self.grammar(), bounds)

    def _notes(self, events: list[int]) -> NoteSequence:
        return self._sequence(voice_from_tokens(np.array(events, dtype=np.int64)))

    def _track(self, notes: NoteSequence) -> npt.NDArray[np.bool_]:
        """Which notes belong to the track of the melody, [N]."""
        melodic = ~notes.is_drum
        counts = np.bincount(notes.track, melodic)
        tracks = np.flatnonzero(counts)
        if len(tracks) < 2:
            return melodic
        means = np.bincount(notes.track, melodic * notes.pitch)[tracks] / counts[tracks]
        chosen = tracks[0] if self.track == "first" else tracks[np.argmax(means)]
        melodic &= notes.track == chosen
        return melodic

    def _sequence(self, voice: Voice) -> NoteSequence:
        return NoteSequence.from_columns(
            voice.start,
            voice.end,
            voice.pitch,
            velocity=self.velocity,
            ticks_per_quarter=self.steps_per_quarter,
            tempos=[(0, self.tempo)],
        )


class MelodyGrammar(Grammar):
    """A hold needs a sounding note, and the last token is not a rest."""

    def __init__(self) -> None:
        self._last: int | None = None

    @property
    def _resting(self) -> bool:
        return self._last == REST

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        legal = np.zeros(VOCABULARY_END, dtype=np.bool_)
        if self._last == EOS:
            return legal
        legal[EOS] = not self._resting
        if room is None or room >= 1:
            legal[NOTE:] = True
            legal[HOLD] = self._last is not None and not self._resting
        # a rest needs a note after it
        legal[REST] = room is None or room >= 2
        return legal

    def push(self, token: int) -> None:
        refuse_special(token, VOCABULARY_END)
        if self._last == EOS:
            raise ValueError("nothing follows <eos>")
        if token == HOLD and (self._last is None or self._resting):
            raise ValueError("there is no sounding note to hold")
        if token == EOS and self._resting:
            raise ValueError("a melody must not end with a rest")
        self._last = token

    def shortest_end(self) -> int:
        return int(self._resting)


class BoundedMelody(BoundedGrammar):
    """A token for each step up to the end; a hold only until the longest note."""

    def __init__(self, base: Grammar, bounds: Bounds) -> None:
        super().__init__(base, bounds)
        self._step = 0  # the step of the next token
        self._held = 0  # steps for which the note sounds so far

    def _within(self) -> Mask:
        bounds, step = self.bounds, self._step
        within = bounds.tokens.copy()
        within[HOLD] &= self._held < bounds.longest
        within[EOS] = bounds.may_end(step)
        if bounds.end is not None:
            within[REST] &= step + 1 < bounds.end  # a note comes after it
            within[HOLD:] &= step < bounds.end
        return within

    @property
    def reached(self) -> int:
        return self._step

    def _follow(self, token: int) -> None:
        self._step += 1
        self._held = 0 if token == REST else 1 if token >= NOTE else self._held + 1
