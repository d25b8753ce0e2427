"""The representation `miditok`: MidiTok's tokens, from any of its tokenisers: `miditok:REMI`, `miditok:TSD` ..."""

from __future__ import annotations

import re
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
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_TEMPO, NoteSequence, TimeSignature, tempo_map
from seqaudio.registry import did_you_mean
from seqaudio.tokens.bounded_durations import BoundedRemi, BoundedTsd
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, SeenTokens
from seqaudio.tokens.miditok.grammar import NoteTokens, RemiGrammar, TsdGrammar
from seqaudio.tokens.miditok.learned_grammar import LearnedGrammar, Successions, learn
from seqaudio.tokens.miditok.quarter_signatures import MAX_QUARTERS, quarter_signatures, quarters_of
from seqaudio.tokens.miditok.tokeniser import (
    BEAT_STEPS,
    CUT_PAUSES,
    NUMBERED_BARS,
    ONE_TIME_SIGNATURE,
    TOKENISERS,
    Tokeniser,
    in_parts,
    tokeniser,
)
from seqaudio.tokens.representation import FIRST_ID, REPRESENTATIONS, Grammar, TokenRepresentation

Steps = npt.NDArray[np.int64]
DRUM_TOKEN = re.compile(r"(?:\d+:)?(?:PitchDrum|DrumOn)_(\d+)")


@REPRESENTATIONS.register("miditok")
@dataclass(frozen=True)
class MidiTokRepresentation(TokenRepresentation):
    """Tokens of MidiTok (Fradet et al. 2021), with its names, after PAD, BOS and EOS.

        id          token        meaning, in REMI and TSD
        0, 1, 2     PAD BOS EOS
        then        Bar_None            REMI: a bar begins; its TimeSig follows
                    Pitch_p             a note begins, p in 0..127; Velocity and Duration follow
                    Velocity_v          one of `velocities` values
                    Duration_b.p.s      b quarters and p/s of a quarter, up to `longest` quarters
                    Position_k          REMI: step k of the bar
                    TimeShift_b.p.s     TSD: time passes, in the form of durations
                    TimeSig_n/4         n in 1..12
                    PitchDrum_p         a drum, with `programs`
                    Program_x           of the next note, with `programs`; -1 is percussion

    The ids after EOS are MidiTok's own without its PAD, in its order; `tokens` lists them. Where MidiTok writes
    compounds (CPWord, Octuple, MuMIDI), their parts become tokens of their own, one after the other.

    REMI and TSD have exact grammars: each legal stream is the encoding of its notes. The grammars of the others are
    learned from generated pieces (`learn`) and permit the kinds of tokens that follow each other there. So a legal
    stream can always be decoded, but `encode` might write its notes otherwise; overlapping notes of one pitch are
    resolved by `resolve_overlaps`.

    Without `programs` all parts become one piano and drums are left out; with `programs` each program is one part, and
    drums are another. Time signatures become n/4 (`quarter_signatures`); Structured and MuMIDI write none, Octuple and
    PerTok only the first. Tempo is not written. A note longer than `longest` quarters is cut; Structured also cuts a
    longer wait from one note to the next.
    """

    name: ClassVar[str] = "miditok"

    tokeniser: str = "REMI"  # REMI, TSD, MIDILike, Structured, CPWord, Octuple, MuMIDI, MMM, PerTok or BEAT
    steps_per_quarter: int = 12  # 12 fits sixteenths and triplets; BEAT always has 4
    longest: int = 8  # quarters of the longest note and the longest shift of time; MIDILike and BEAT cut no notes
    velocities: int = 32  # number of different velocities; BEAT writes none
    programs: bool = False  # whether to write instruments; MuMIDI, MMM and BEAT always do
    bars: int = 256  # longest piece in Octuple and MuMIDI, which number the bars; later notes are left out
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of decoded pieces

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
        if not 1 <= self.tempo <= MAX_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{MAX_TEMPO} microseconds per quarter")

    def _suggestion(self) -> str:
        by_lower = {name.lower(): name for name in TOKENISERS}
        if self.tokeniser.lower() in by_lower:
            return f"did you mean {by_lower[self.tokeniser.lower()]}?"
        return did_you_mean(self.tokeniser, list(TOKENISERS))

    @property
    def library(self) -> Tokeniser:
        """MidiTok's tokeniser. Raises OptionError where MidiTok is not installed."""
        return tokeniser(self.tokeniser, self.grid, self.longest, self.velocities, self.programs, self.bars)

    @property
    def grid(self) -> int:
        """Steps per quarter, which is also the resolution of the results of `quantise` and `decode`."""
        return BEAT_STEPS if self.tokeniser == "BEAT" else self.steps_per_quarter

    @property
    def spelt(self) -> str:
        return f"{self.name}:{self.tokeniser}"

    @property
    def writes_programs(self) -> bool:
        return self.library.programs

    @cached_property
    def token_pitches(self) -> npt.NDArray[np.int64]:
        """As in other representations, with two exceptions.

        BEAT writes the lower notes of a chord as intervals, so none of its tokens tells a pitch. A learned grammar lets
        drum tokens follow any program, where they sound as notes, so they count as pitches.
        """
        found = super().token_pitches
        if self.tokeniser == "BEAT":
            return np.full_like(found, -1)
        if self.tokeniser in ("REMI", "TSD"):
            return found
        drums = [DRUM_TOKEN.fullmatch(token) for token in self.tokens]
        return np.array([pitch if drum is None else int(drum[1]) for pitch, drum in zip(found, drums, strict=True)])

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return self.library.tokens

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        library = self.library
        if not library.programs:
            notes = notes.select(~notes.is_drum)
        start, end = grid_steps(notes, self.grid)
        if self.tokeniser in CUT_PAUSES:
            cut = _cut_steps(start, self.longest * self.grid)
            start, end = start - cut, end - cut
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
            quantised = _without_empty_tracks(self._first_bars(notes, quantised))
        return self._with_time_signatures(notes, quantised)

    def cut_silence(self, notes: NoteSequence) -> npt.NDArray[np.float64]:
        if self.tokeniser not in CUT_PAUSES:
            return super().cut_silence(notes)
        return _cut_steps(grid_steps(notes, self.grid)[0], self.longest * self.grid) / self.grid

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        return self.library.encode(self.quantise(notes)) + FIRST_ID

    def grammar(self) -> Grammar:
        if self.tokeniser == "REMI":
            return RemiGrammar(self._note_tokens)
        if self.tokeniser == "TSD":
            return TsdGrammar(self._note_tokens)
        return LearnedGrammar(self._learned)

    @property
    def ends_on_bars(self) -> bool:
        return self.tokeniser in ("REMI", "TSD")

    @property
    def keeps_form(self) -> bool:
        return self.tokeniser == "REMI"

    @property
    def bar_places(self) -> tuple[int, range] | None:
        if self.tokeniser != "REMI":
            return None
        kinds = self._note_tokens.kinds
        return kinds["Bar"].start, range(kinds["Position"].start, kinds["Position"].stop)

    @property
    def metre_ids(self) -> range:
        if not self.ends_on_bars:
            return range(0)
        kind = self._note_tokens.kinds["TimeSig"]
        return range(kind.start, kind.stop)

    def written_metre(self, metre: TimeSignature) -> tuple[TimeSignature, int] | None:
        if not self.metre_ids:
            return None
        quarters = quarters_of(metre)
        return TimeSignature(0, quarters, 4), self.metre_ids[quarters - 1]

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        """A new grammar within bounds; that of a learned grammar keeps to the tokens that may be sampled alone."""
        if self.tokeniser == "REMI":
            return BoundedRemi(self.grammar(), bounds, self._note_tokens)
        if self.tokeniser == "TSD":
            return BoundedTsd(self.grammar(), bounds, self._note_tokens)
        return SeenTokens(LearnedGrammar(self._learned.within(bounds.tokens)), bounds)

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
        # a learned grammar permits overlapping notes of one pitch, which MIDI files cannot store
        return resolve_overlaps(replace(notes, tempo_tick=tempo_tick, tempo=tempo))

    def _first_bars(self, notes: NoteSequence, quantised: NoteSequence) -> NoteSequence:
        """Without the notes that begin after the last bar that can be numbered."""
        after = list(islice(bars(self._with_time_signatures(notes, quantised)), self.bars, self.bars + 1))
        return quantised.select(quantised.start_tick < ceil(after[0].start)) if after else quantised

    def _with_time_signatures(self, notes: NoteSequence, quantised: NoteSequence) -> NoteSequence:
        """With the time signatures of `notes` up to the start of the last note; without notes there are none."""
        if not self.library.time_signatures or not len(quantised):
            return quantised
        last = 0 if self.tokeniser in ONE_TIME_SIGNATURE else int(quantised.start_tick.max())
        return replace(quantised, time_signatures=quarter_signatures(notes, self.grid, last))


def _without_empty_tracks(notes: NoteSequence) -> NoteSequence:
    columns = (notes.start_tick, notes.end_tick, notes.pitch, notes.velocity, notes.program, notes.is_drum)
    tempos = zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True)
    return in_parts(*columns, ticks_per_quarter=notes.ticks_per_quarter, tempos=tempos)


def _cut_steps(start: Steps, longest_wait: int) -> Steps:
    """[N] steps that are removed before each note if waits between starts are cut to `longest_wait` steps."""
    order = np.argsort(start, kind="stable")
    waits = np.diff(start[order], prepend=0)
    cut = np.empty_like(start)
    cut[order] = np.cumsum(np.maximum(waits - longest_wait, 0))
    return cut


def _nearest(velocity: npt.NDArray[np.int16], values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The nearest of rising `values` to each velocity; of two equally near values the lower."""
    borders = (values[1:] + values[:-1]) / 2
    nearest: npt.NDArray[np.int64] = values[np.searchsorted(borders, velocity, side="left")]
    return nearest
