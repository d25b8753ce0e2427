"""Plan a piece before it is sampled: tempo, metre and program, the bar line at which it ends, the bars that return.

What is asked for comes first, then what a primer has, then what most training pieces have:

    Wishes ────┐
    primer ────┼─> Plan ── bounds ──> sample ── decode ──> NoteSequence ── played ──> NoteSequence
    Repertoire ┤
    Forms ─────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.decoding.continuation import RESOLUTION, in_quarters, like_primer
from seqaudio.errors import OptionError
from seqaudio.midi.programs import DRUMS, Instrument, part_names
from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.keys import key_name, scale_of
from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature, tempo_map
from seqaudio.tokens.bounds import Bounds
from seqaudio.tokens.forms import Form, Forms, lettered, of_length
from seqaudio.tokens.repertoire import UNKNOWN, Repertoire, bar_quarters, bounds_of, metre_named
from seqaudio.tokens.representation import TokenRepresentation
from seqaudio.vocabulary import Level

DRAWN, FREE = "drawn", "free"  # forms besides letters
Metres = tuple[tuple[Fraction, TimeSignature], ...]  # time signatures, and the quarters at which they begin


@dataclass(frozen=True)
class Wishes:
    """Options of a piece; None leaves one to the primer and to the training pieces."""

    bars: int | None = None  # of the whole piece, primer included
    tempo: int | None = None  # microseconds per quarter
    metre: TimeSignature | None = None
    program: int | None = None  # General MIDI, counted from 0
    key: KeySignature | None = None  # outside whose scale nothing is sampled
    instruments: tuple[Instrument, ...] = ()  # of which no others are sampled; none: any
    wild: bool = False  # notes may be longer, and tokens others, than in any training piece
    form: str | None = None  # letters of groups of bars, `drawn` from the training pieces, or `free`: what comes, comes
    density: Level | None = None  # notes a quarter, of a model that is told them


@dataclass(frozen=True)
class Plan:
    """The plan of one or several pieces. Raises OptionError for a wish that cannot be written, or a primer excludes.

    repertoire: of the training pieces; None where the run does not know it, as it is older. Then only what is asked for
    is planned.
    primer_ids: the tokens of the primer that the piece begins with.
    forms: of the training pieces, in which bars return; None where the run does not know them.
    """

    representation: TokenRepresentation
    repertoire: Repertoire | None = None
    wishes: Wishes = Wishes()
    primer: NoteSequence | None = None
    primer_ids: Sequence[int] = ()
    forms: Forms | None = None

    def __post_init__(self) -> None:
        representation, wishes = self.representation, self.wishes
        _ = self.metres  # refuses a metre before anything is sampled
        if wishes.bars is not None and not representation.ends_on_bars:
            raise OptionError(f"--bars {wishes.bars}: {representation.spelt} cannot be ended at a bar; leave it out")
        if wishes.bars is not None and wishes.bars % self._unit and not self._letters:
            raise OptionError(
                f"--bars {wishes.bars}: {representation.spelt} writes {self._unit} bars of {self.metre.name} as one; "
                f"give a multiple of {self._unit}"
            )
        if wishes.bars is not None and self._end_of_bar(wishes.bars) <= self.reached:
            raise OptionError(
                f"--bars {wishes.bars}: the primer has as many; give more, or continue its beginning alone, by "
                f"--primer-events"
            )

        if wishes.instruments:
            self._check_instruments(", ".join(one.name for one in wishes.instruments))
        if wishes.key is not None and self.barred is not None:
            self._check_key(self.barred)
        if wishes.form not in (None, FREE):
            self._check_form(wishes.form)

    def _check_instruments(self, names: str) -> None:
        """Raise OptionError for instruments that the representation cannot write, or no training piece has."""
        asked, representation, (first, *others) = f"--instruments {names}", self.representation, self.wishes.instruments
        if not representation.writes_programs:
            if others:
                raise OptionError(
                    f"{asked}: a run of {representation.spelt} writes all notes for one instrument; give one of them, "
                    f"or use a run of tokens with programs, such as those of --representation miditok:REMI --programs"
                )
            if first.parts == (DRUMS,):
                raise OptionError(f"{asked}: {representation.spelt} leaves drums out; give another instrument")
            return
        programs = representation.token_programs
        if not (programs >= 0).any():
            raise OptionError(
                f"{asked}: no token of {representation.spelt} has a program for the notes after it, so none can be "
                f"left out; leave out --instruments"
            )
        known = bounds_of(representation, None if self.wishes.wild else self.repertoire).tokens & (programs >= 0)
        wanted = np.isin(programs, self.parts)
        if not (known & wanted).any():
            raise OptionError(
                f"{asked}: no training piece has it; they have {part_names(np.unique(programs[known]).tolist())}; "
                f"give some of these, or --wild"
            )

    @property
    def parts(self) -> tuple[int, ...]:
        """The programs that `instruments` asks for, DRUMS among them; where all notes have one program, that one."""
        wished = tuple(sorted({part for one in self.wishes.instruments for part in one.parts}))
        if not wished or self.representation.writes_programs:
            return wished
        usual = UNKNOWN if self.repertoire is None else self.repertoire.program
        return (usual,) if usual in wished else wished[:1]

    def _check_key(self, barred: npt.NDArray[np.bool_]) -> None:
        """Raise OptionError for a key that the mask cannot keep, or that has no pitch of the training pieces."""
        name = "" if self.wishes.key is None else key_name(self.wishes.key)
        pitches = self.representation.token_pitches
        if not (pitches >= 0).any():
            raise OptionError(
                f"--key {name}: {self.representation.spelt} has no tokens of single pitches that could be left out; "
                f"leave out --key"
            )
        known = bounds_of(self.representation, None if self.wishes.wild else self.repertoire).tokens
        if not (known & ~barred & (pitches >= 0)).any():
            raise OptionError(f"--key {name}: no training piece has a pitch of it; give another key, or --wild")

    def _check_form(self, form: str) -> None:
        """Raise OptionError for a form that cannot be kept."""
        bars, groups = self.wishes.bars, len(self._letters)
        if not self.representation.keeps_form:
            raise OptionError(f"--form {form}: {self.representation.spelt} cannot write a bar again; leave it out")
        if not groups and self.forms is None:
            raise OptionError(
                f"--form {form}: the run does not know the forms of its training pieces; train it again, or give "
                f"letters such as AABB"
            )
        if not self.ends_on_bar:
            raise OptionError(f"--form {form}: the run does not know how long pieces are; give --bars")
        if not self._bar_steps:
            raise OptionError(f"--form {form}: the primer has bars of several lengths; leave out --form, or --primer")
        if groups and bars is not None and bars % self._unit:
            raise OptionError(
                f"--form {form}: {bars} bars are not {groups} groups of equal length; give --bars as a multiple of "
                f"{self._unit}"
            )

    @property
    def _letters(self) -> str:
        """The letters of the form that is asked for; empty where there are none."""
        return "" if self.wishes.form in (None, FREE, DRAWN) else self.wishes.form

    @cached_property
    def barred(self) -> npt.NDArray[np.bool_] | None:
        """[V] the tokens outside the key and of other instruments than are asked for; None where neither is."""
        key, programs = self.wishes.key, None
        if self.parts and self.representation.writes_programs:
            programs = self.representation.token_programs
        if key is None and programs is None:
            return None
        barred = np.zeros(len(self.representation.tokens), dtype=np.bool_)
        if key is not None:
            pitches = self.representation.token_pitches
            barred |= (pitches >= 0) & ~np.isin(pitches % 12, scale_of(key))
        if programs is not None:
            barred |= (programs >= 0) & ~np.isin(programs, self.parts)
        return barred

    @property
    def ends_on_bar(self) -> bool:
        """Whether pieces end at a bar line that is planned."""
        knows = self.repertoire is not None or self.wishes.bars is not None
        return knows and self.representation.ends_on_bars

    @property
    def metre(self) -> TimeSignature:
        """The time signature that holds at the end."""
        return self.metres[-1][1] if self.metres else COMMON_TIME

    @property
    def tempo(self) -> int | None:
        """Microseconds per quarter, of the whole piece; None for those of the primer, or of decoded notes."""
        if self.wishes.tempo or self.repertoire is None or self.primer is not None:
            return self.wishes.tempo
        known = self.repertoire.tempo_of(self.metre.name)
        return None if known == UNKNOWN else known

    @property
    def program(self) -> int | None:
        """The program of all pitched notes; None for those of the primer, or of decoded notes."""
        if self.wishes.program is not None:
            return self.wishes.program
        if self.parts and not self.representation.writes_programs:
            return self.parts[0]
        if self.repertoire is None or self.primer is not None or self.representation.writes_programs:
            return None
        return None if self.repertoire.program == UNKNOWN else self.repertoire.program

    @cached_property
    def metres(self) -> Metres:
        """The time signatures from the first bar on; none where neither wish, primer nor training pieces give one."""
        representation, wished = self.representation, self.wishes.metre
        if wished is not None and not _fits(representation, wished):
            raise OptionError(f"--metre {wished.name}: {representation.spelt} cannot write its bars; try 4/4 or 3/4")
        if self.primer is not None:
            return self._metres_of_primer(self.primer)
        if wished is not None:
            return ((Fraction(0), wished),)
        if self.repertoire is None:
            return ((Fraction(0), COMMON_TIME),) if self.wishes.bars is not None else ()
        known = map(metre_named, self.repertoire.metres)
        return ((Fraction(0), next((metre for metre in known if _fits(representation, metre)), COMMON_TIME)),)

    def _metres_of_primer(self, primer: NoteSequence) -> Metres:
        representation, wished = self.representation, self.wishes.metre
        aligned = representation.aligned(primer)
        signatures = {0: COMMON_TIME} | {signature.tick: signature for signature in aligned.time_signatures}
        given = [(Fraction(tick, aligned.ticks_per_quarter), replace(signatures[tick], tick=0)) for tick in signatures]
        if wished is None:
            if representation.timing == "beat":  # later ones are not in the part that is continued
                reached = Fraction(max(1, self.reached), self._steps_per_quarter)
                given = [(quarter, metre) for quarter, metre in given if quarter < reached]
            return tuple(sorted(given, key=lambda one: one[0]))
        if representation.metre_ids and any(bar_quarters(metre) != bar_quarters(wished) for _, metre in given):
            names = " and ".join(dict.fromkeys(metre.name for _, metre in given))
            raise OptionError(
                f"--metre {wished.name}: the primer is in {names}, as {representation.spelt} writes it; leave out "
                f"--metre, or --primer"
            )
        return ((Fraction(0), wished),)

    def bounds(self, generator: torch.Generator) -> Bounds | None:
        """The bounds of one piece, of a length drawn from those of the training pieces; None where none are known."""
        repertoire = None if self.wishes.wild else self.repertoire
        if not self.ends_on_bar:
            if repertoire is None and self.barred is None:
                return None
            return self._asked(bounds_of(self.representation, repertoire))
        rest = 0
        if self.repertoire is not None:
            rest = min(self.repertoire.rest(self.metre.name), self._step(bar_quarters(self.metre)) - 1)
        end = self._end_of_bar(self._bars(generator))
        bounds = bounds_of(self.representation, repertoire, self.metre, end, rest)
        bounds = replace(bounds, form=self._form(end, generator))
        metres = self.representation.metre_ids
        bounds.tokens[[token for token in self.primer_ids if token not in metres]] = True  # these may come again
        if self.repertoire is not None and self._timed.tempo.tolist() != [self.repertoire.tempo_of(self.metre.name)]:
            bounds.tokens[list(self.representation.tempo_ids)] = True
        return self._asked(bounds)

    def _asked(self, bounds: Bounds) -> Bounds:
        return (
            bounds if self.barred is None else replace(bounds, tokens=bounds.tokens & ~self.barred, barred=self.barred)
        )

    def _bars(self, generator: torch.Generator) -> int:
        if self.wishes.bars is not None or self.repertoire is None:
            return self.wishes.bars or 1
        begun = 0
        while self._end_of_bar(begun) < self.reached:
            begun += 1
        lengths = self.repertoire.bars(self.metre.name)
        # a primer longer than any training piece is continued by as many bars as a whole piece has
        fitting = {bars: count for bars, count in lengths.items() if bars > begun}
        fitting = fitting or {begun + bars: count for bars, count in lengths.items()}
        fitting = {bars: count for bars, count in fitting.items() if bars % self._unit == 0} or fitting
        weights = torch.tensor(list(fitting.values()), dtype=torch.float64, device=generator.device)
        bars = list(fitting)[int(torch.multinomial(weights, 1, generator=generator))]
        return -(-bars // self._unit) * self._unit

    def _form(self, end: int, generator: torch.Generator) -> Form | None:
        """The form of a piece up to step `end`; None where bars come as they come."""
        steps, groups = self._bar_steps, self._letters
        if self.wishes.form == FREE or not self.representation.keeps_form or not steps or end % steps:
            return None
        bars = end // steps
        if groups:
            form = lettered(groups, bars)
        elif self.forms is None:
            return None
        else:
            found = self.forms.nearest(bars)
            form = of_length(
                found[int(torch.randint(len(found), (), generator=generator, device=generator.device))], bars
            )
        # a bar of the primer need not have a note at its end, as the last bar must
        return (*form[:-1], bars - 1) if form[-1] * steps < self.reached else form

    @cached_property
    def _bar_steps(self) -> int:
        """Steps of a bar that the representation writes; 0 where bars have several lengths, or none that is written."""
        written = [self.representation.written_metre(metre) for _, metre in self.metres]
        steps = {0 if one is None else self._step(bar_quarters(one[0])) for one in written}
        return steps.pop() if len(steps) == 1 else 0

    @property
    def _unit(self) -> int:
        """Of how many bars of the metre the piece has a multiple: those of a bar that is filled, and of groups."""
        written = self.representation.written_metre(self.metre)
        one = 1 if written is None else int(bar_quarters(written[0]) / bar_quarters(self.metre))
        if self._letters:
            return one * len(self._letters)
        return one if self.representation.fills_bars else 1

    @cached_property
    def reached(self) -> int:
        """The step up to which the primer is written; 0 without one, and where that is not known."""
        if not self.primer_ids:
            return 0
        grammar = self.representation.bounded(bounds_of(self.representation, None))
        for token in self.primer_ids:
            grammar.push(token)
        return grammar.reached

    def _end_of_bar(self, number: int) -> int:
        """The step at which bar `number` ends, counted from 1; 0 for 0."""
        quarter, left = Fraction(0), number
        for place, (begin, metre) in enumerate(self.metres):
            length = bar_quarters(metre)
            until = self.metres[place + 1][0] if place + 1 < len(self.metres) else begin + left * length
            here = min(left, ceil((until - begin) / length))
            quarter, left = min(begin + here * length, until), left - here
            if not left:
                break
        return self._step(quarter)

    @cached_property
    def _steps_per_quarter(self) -> int:
        return self.representation.decode([]).ticks_per_quarter

    def _step(self, quarter: Fraction) -> int:
        """The step of a time, rounded where a step is a part of a second."""
        if self.representation.timing == "beat":
            return int(quarter * self._steps_per_quarter)
        seconds = float(self._timed.seconds([int(quarter * RESOLUTION)])[0])
        return round(seconds * 1e6 / int(self._nominal[0]) * self._steps_per_quarter)

    @cached_property
    def _timed(self) -> NoteSequence:
        """A piece without notes, with the tempos of this plan."""
        timed = NoteSequence.from_columns([], [], [], ticks_per_quarter=RESOLUTION)
        if self.tempo is not None:
            return replace(timed, tempo=np.array([self.tempo], dtype=np.int64))
        if self.primer is None:
            return replace(timed, tempo=self._nominal)
        ticks = nearest_step(self.primer.tempo_tick, self.primer.ticks_per_quarter, RESOLUTION).tolist()
        tempo_tick, tempo = tempo_map(zip(ticks, self.primer.tempo.tolist(), strict=True))
        return replace(timed, tempo_tick=tempo_tick, tempo=tempo)

    def played(self, notes: NoteSequence) -> NoteSequence:
        """Decoded notes with the tempo, the time signatures, the program and the key of the plan."""
        given = notes.time_signatures
        if self.primer is not None:
            notes = like_primer(notes, self.primer, self.representation)
        if self.tempo is not None:
            if self.representation.timing == "second":
                notes = self._on_bar_line(in_quarters(notes, self._timed))
            notes = replace(notes, tempo_tick=self._timed.tempo_tick, tempo=self._timed.tempo)
        own = self.primer is None and (self.ends_on_bar or not given)
        if self.metres and len(notes) and (own or self.wishes.metre is not None):
            ticks = ((int(quarter * notes.ticks_per_quarter), metre) for quarter, metre in self.metres)
            notes = replace(notes, time_signatures=tuple(replace(metre, tick=tick) for tick, metre in ticks))
        if self.program is not None:
            program = np.where(notes.is_drum, notes.program, np.int16(self.program)).astype(np.int16)
            notes = notes.with_columns(program=program)
        return notes if self.wishes.key is None else replace(notes, key_signatures=(self.wishes.key,))

    def _on_bar_line(self, notes: NoteSequence) -> NoteSequence:
        """The notes with those that end within half a step of the last bar line ending on it."""
        bar = int(bar_quarters(self.metre) * notes.ticks_per_quarter)
        line = round(notes.last_tick / bar) * bar
        seconds = int(self._nominal[0]) / self._steps_per_quarter / 1e6  # of a step
        step = seconds * 1e6 / int(self._timed.tempo[0]) * notes.ticks_per_quarter
        near = (np.abs(notes.end_tick - line) <= ceil(step / 2)) & (notes.start_tick < line)
        return notes.with_columns(end_tick=np.where(near, line, notes.end_tick)) if near.any() else notes

    @cached_property
    def _nominal(self) -> npt.NDArray[np.int64]:
        """[1] the tempo of decoded notes, microseconds per quarter."""
        return self.representation.decode([]).tempo


def _fits(representation: TokenRepresentation, metre: TimeSignature) -> bool:
    """Whether bars of a metre are whole numbers of steps, and of the bars that the representation writes."""
    if representation.timing == "beat" and (bar_quarters(metre) * representation.decode([]).ticks_per_quarter) % 1:
        return False
    written = representation.written_metre(metre)
    return written is None or bar_quarters(written[0]) % bar_quarters(metre) == 0
