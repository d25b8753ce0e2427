"""MidiTok's tokens, any of its tokenisers by name: `miditok:REMI`, `miditok:TSD` ..."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import ceil
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.bars import bars
from seqaudio.notes.quantise import grid_steps, resolve_overlaps
from seqaudio.notes.sequence import DEFAULT_TEMPO, HIGHEST_TEMPO, NoteSequence, tempo_map
from seqaudio.registry import did_you_mean
from seqaudio.tokens.miditok.grammar import NoteTokens, RemiGrammar, TsdGrammar
from seqaudio.tokens.miditok.learned_grammar import LearnedGrammar, Successions, learn
from seqaudio.tokens.miditok.quarter_metres import MAX_QUARTERS, quarter_metres
from seqaudio.tokens.miditok.tokeniser import (
    BEAT_STEPS,
    LONGEST_PAUSE,
    NUMBERED_BARS,
    ONE_METRE,
    TOKENISERS,
    Tokeniser,
    in_parts,
    tokeniser,
)
from seqaudio.tokens.representation import FIRST_ID, REPRESENTATIONS, Grammar, TokenRepresentation

Steps = npt.NDArray[np.int64]


@REPRESENTATIONS.register("miditok")
@dataclass(frozen=True)
class MidiTokRepresentation(TokenRepresentation):
    """Tokens of MidiTok (Fradet et al. 2021), with its names, behind PAD, BOS and EOS.

        id          token        meaning, in REMI and TSD
        0, 1, 2     PAD BOS EOS
        then        Bar_None            REMI: a bar begins; its TimeSig follows
                    Pitch_p             a note begins, p in 0..127; Velocity and Duration follow
                    Velocity_v          one of `velocities` values
                    Duration_b.p.s      b quarters and p of s parts of one, up to `longest` quarters
                    Position_k          REMI: step k of the bar
                    TimeShift_b.p.s     TSD: time passes, written as durations are
                    TimeSig_n/4         n in 1..12
                    PitchDrum_p         a drum, with `programs`
                    Program_x           of the next note, with `programs`; -1 is percussion

    The ids behind EOS are MidiTok's own, less its PAD, in its order; `tokens` lists them. Where MidiTok writes
    compounds (CPWord, Octuple, MuMIDI), their parts follow each other as tokens of their own.

    REMI and TSD have exact grammars: each legal stream is the encoding of its notes. The grammars of the others are
    learned from pieces made by rule (`learn`): legal is what kinds of tokens follow each other there, so a legal stream
    can always be decoded, but its notes may be encoded otherwise; those of one pitch that overlap are resolved as
    `resolve_overlaps` does it.

    Without `programs` all parts become one piano and drums are left out; with them each program is one part, and drums
    another. Metres become such of whole quarters (`quarter_metres`); Structured and MuMIDI write none,
    Octuple and PerTok the first alone. Tempo is not written. A note longer than `longest` quarters is cut; in
    Structured so is a longer time from one note to the next.
    """

    name: ClassVar[str] = "miditok"

    tokeniser: str = "REMI"  # REMI, TSD, MIDILike, Structured, CPWord, Octuple, MuMIDI, MMM, PerTok or BEAT
    steps_per_quarter: int = 12  # 12 holds sixteenths and triplets; BEAT has always 4
    longest: int = 8  # quarters of the longest note, and of the longest shift of time; MIDILike and BEAT cut no notes
    velocities: int = 32  # how many; BEAT writes none
    programs: bool = False  # several instruments; MuMIDI, MMM and BEAT have them always
    bars: int = 256  # most bars of a piece, for Octuple and MuMIDI, which number them; notes behind are left out
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of what is decoded

    def __post_init__(self) -> None:
        if self.tokeniser not in TOKENISERS:
            raise OptionError(f"MidiTok has no tokeniser {self.tokeniser!r}; {self._suggestion()}")
        if not 1 <= self.steps_per_quarter <= 48 or not 1 <= self.longest <= MAX_QUARTERS:
            raise OptionError(
                f"{self.steps_per_quarter} steps per quarter and notes of {self.longest} quarters, "
                f"expected 1..48 and 1..{MAX_QUARTERS}"
            )
        if not 1 <= self.velocities <= 127 or not 1 <= self.bars <= 10_000:
            raise OptionError(f"{self.velocities} velocities and {self.bars} bars, expected 1..127 and 1..10000")
        if not 1 <= self.tempo <= HIGHEST_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{HIGHEST_TEMPO} microseconds per quarter")

    def _suggestion(self) -> str:
        by_lower = {name.lower(): name for name in TOKENISERS}
        if self.tokeniser.lower() in by_lower:
            return f"did you mean {by_lower[self.tokeniser.lower()]}?"
        return did_you_mean(self.tokeniser, list(TOKENISERS))

    @property
    def library(self) -> Tokeniser:
        """What MidiTok offers. Raises OptionError where it is not installed."""
        return tokeniser(self.tokeniser, self.grid, self.longest, self.velocities, self.programs, self.bars)

    @property
    def grid(self) -> int:
        """Steps per quarter, and ticks of `quantise` and `decode`."""
        return BEAT_STEPS if self.tokeniser == "BEAT" else self.steps_per_quarter

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return self.library.tokens

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        library = self.library
        if not library.programs:
            notes = notes.select(~notes.is_drum)
        start, end = grid_steps(notes, self.grid)
        if self.tokeniser in LONGEST_PAUSE:
            earlier = _earlier(start, self.longest * self.grid)
            start, end = start - earlier, end - earlier
        if library.longest:
            end = np.minimum(end, start + library.longest)
        quantised = resolve_overlaps(
            in_parts(
                start,
                end,
                notes.pitch,
                _nearest(notes.velocity, library.velocities),
                notes.program if library.programs else np.zeros(len(notes), dtype=np.int16),
                notes.is_drum,
                ticks_per_quarter=self.grid,
                tempos=[(0, self.tempo)],
            )
        )
        if self.tokeniser in NUMBERED_BARS:
            quantised = _parts_anew(self._first_bars(notes, quantised))
        return self._with_metres(notes, quantised)

    def earlier(self, notes: NoteSequence) -> npt.NDArray[np.float64]:
        if self.tokeniser not in LONGEST_PAUSE:
            return super().earlier(notes)
        return _earlier(grid_steps(notes, self.grid)[0], self.longest * self.grid) / self.grid

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        return self.library.encode(self.quantise(notes)) + FIRST_ID

    def grammar(self) -> Grammar:
        if self.tokeniser == "REMI":
            return RemiGrammar(self._note_tokens)
        if self.tokeniser == "TSD":
            return TsdGrammar(self._note_tokens)
        return LearnedGrammar(self._learned)

    @cached_property
    def _note_tokens(self) -> NoteTokens:
        return NoteTokens.of(self.tokens, self.grid)

    @cached_property
    def _learned(self) -> Successions:
        return learn(self.tokens, self.library.heads, self.grid, self.encode)

    def _notes(self, events: list[int]) -> NoteSequence:
        if not events:
            return self.quantise(NoteSequence.from_columns([], [], []))
        notes = self.library.decode(np.array(events, dtype=np.int64) - FIRST_ID)
        tempo_tick, tempo = tempo_map([(0, self.tempo)])
        # under a learned grammar a model may let notes of one pitch overlap, which no MIDI file can say
        return resolve_overlaps(replace(notes, tempo_tick=tempo_tick, tempo=tempo))

    def _first_bars(self, notes: NoteSequence, quantised: NoteSequence) -> NoteSequence:
        """Without what begins behind the bars that can be numbered."""
        behind = list(islice(bars(self._with_metres(notes, quantised)), self.bars, self.bars + 1))
        return quantised.select(quantised.start_tick < ceil(behind[0].start)) if behind else quantised

    def _with_metres(self, notes: NoteSequence, quantised: NoteSequence) -> NoteSequence:
        """With the metres of `notes` up to the last beginning of a note; no metres without notes."""
        if not self.library.metres or not len(quantised):
            return quantised
        last = 0 if self.tokeniser in ONE_METRE else int(quantised.start_tick.max())
        metres = quarter_metres(notes, self.grid, last)
        return replace(quantised, time_signatures=metres)


def _parts_anew(notes: NoteSequence) -> NoteSequence:
    """Without the tracks that have lost all their notes."""
    columns = (notes.start_tick, notes.end_tick, notes.pitch, notes.velocity, notes.program, notes.is_drum)
    tempos = zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True)
    return in_parts(*columns, ticks_per_quarter=notes.ticks_per_quarter, tempos=tempos)


def _earlier(start: Steps, most: int) -> Steps:
    """[N] how many steps earlier each note comes where beginnings are at most `most` apart and longer waits are cut."""
    order = np.argsort(start, kind="stable")
    waits = np.diff(start[order], prepend=0)
    earlier = np.empty_like(start)
    earlier[order] = np.cumsum(np.maximum(waits - most, 0))
    return earlier


def _nearest(velocity: npt.NDArray[np.int16], values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The nearest of rising values, of two the lower."""
    borders = (values[1:] + values[:-1]) / 2
    nearest: npt.NDArray[np.int64] = values[np.searchsorted(borders, velocity, side="left")]
    return nearest
