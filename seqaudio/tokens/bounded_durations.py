"""Grammars within bounds for notes that are written with their lengths: `bars`, and REMI and TSD of MidiTok."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.forms import UNSEEN, Note, Returning
from seqaudio.tokens.grammar import Grammar
from seqaudio.vocabulary import EOS

if TYPE_CHECKING:
    from seqaudio.tokens.miditok.grammar import NoteTokens

Ints = npt.NDArray[np.int64]
ANY = 1 << 40  # steps, where nothing bounds a note


class NoteLengths:
    """The lengths that a note may have at a step, where notes may begin at given places of a bar.

    The last place before the end from which a note can reach it is kept free: no note sounds beyond that place unless
    it ends where the piece may end. So there is always a pitch for the last note.

    Args:
        lengths: [M] whether a note of 1, 2 .. M steps may be sampled.
        places: [bar] whether a note may begin at each step of a bar.
    """

    def __init__(self, bounds: Bounds, lengths: Mask, places: Mask) -> None:
        self._bounds = bounds
        self._steps = np.arange(1, len(lengths) + 1)
        self._may = lengths & (self._steps <= bounds.longest)
        # how many of the lengths may be sampled, of those up to each
        self._counts = np.append(0, self._may.cumsum())
        self._shortest = int(self._steps[self._may].min(initial=np.iinfo(np.int32).max))
        self._begins = np.zeros(0, dtype=np.int64)  # the steps before the end at which a note may begin
        self._last = -1  # the last step at which a note may begin that ends where the piece may
        if bounds.end is not None:
            self._begins = np.flatnonzero(np.resize(places, bounds.end))
            reach = self._begins[self._may_reach(self._begins)]
            self._last = int(reach[-1]) if len(reach) else -1

    def _reaches(self, step: int) -> Mask:
        """[M] the lengths with which a note at a step ends where the piece may end."""
        bounds, ends = self._bounds, step + self._steps
        if bounds.end is None:
            return self._may
        return self._may & (ends >= bounds.end - bounds.rest) & (ends <= bounds.end)

    def _may_reach(self, steps: Ints) -> Mask:
        """[N] whether some length is among `_reaches`, for each of several steps."""
        bounds, longest = self._bounds, len(self._steps)
        if bounds.end is None:
            return np.full(len(steps), self._counts[-1] > 0)
        most = np.clip(bounds.end - steps, 0, longest)
        below = np.clip(bounds.end - bounds.rest - steps - 1, 0, longest)
        reach: Mask = self._counts[most] > self._counts[below]
        return reach

    def at(self, step: int, ended: bool) -> Mask:
        """[M] the lengths of a note at a step. `ended`: another note ends where the piece may end."""
        if self._bounds.end is None:
            return self._may
        before = self._bounds.end if ended else self._last
        return self._reaches(step) | (self._may & (step + self._steps <= before))

    def may_begin(self, steps: Ints, ended: bool) -> Mask:
        """[N] whether a note may begin at each of several steps."""
        may = self._may_reach(steps)
        if self._bounds.end is None:
            return may
        before = self._bounds.end if ended else self._last
        return may | (steps + self._shortest <= before)

    def may_follow(self, step: int, ended: bool) -> bool:
        """Whether a note may begin at a step or after it, where all pitches are free."""
        end = self._bounds.end
        if end is None:
            return True
        if not ended:
            return step <= self._last
        later = int(np.searchsorted(self._begins, step))
        return later < len(self._begins) and int(self._begins[later]) + self._shortest <= end

    @property
    def last(self) -> int:
        """The last step at which a note may begin that ends where the piece may; -1 for none."""
        return self._last

    def shortest(self, steps: Ints, ended: bool) -> Ints:
        """[N] the length of the shortest note at each of several steps; 0 where none may begin."""
        bounds, counts = self._bounds, self._counts
        before = ANY if bounds.end is None else bounds.end if ended else self._last
        found = np.where(steps + self._shortest <= before, self._shortest, 0)
        if bounds.end is None:
            return found if counts[-1] else np.zeros_like(found)
        below = np.clip(bounds.end - bounds.rest - steps - 1, 0, len(self._steps))
        reach = np.searchsorted(counts, counts[below] + 1)  # the first length of those that reach the end
        return np.where((found == 0) & self._may_reach(steps), reach, found)


class BarByBar:
    """The bounds of a piece that is written bar by bar, in a form where it has one (`Returning`).

    Args:
        lengths: as for `NoteLengths`.
        seen: [rows] the pitches, or pitches and parts, that may be sampled.
    """

    def __init__(self, bounds: Bounds, lengths: Mask, seen: Mask) -> None:
        self._bounds, self._lengths, self._seen = bounds, lengths, seen
        self._row = np.where(seen, np.cumsum(seen) - 1, UNSEEN)  # in a form
        self._places: Mask = np.zeros(0, dtype=np.bool_)
        self._here = bounds  # those of this bar
        self._notes = NoteLengths(bounds, lengths, np.ones(1, dtype=np.bool_))
        self._line = 0  # the step at which this bar begins
        self._ended = False  # whether a note ends where the piece, or in a form its last bar, may end
        self._form: Returning | None = None

    @property
    def forced(self) -> int | None:
        """The token that the form asks for; None where it is free."""
        return None if self._form is None else self._form.forced

    @property
    def may_end(self) -> bool:
        """Whether the piece may end."""
        if self._form is not None:
            return self._form.may_end(self._ended)
        if self._bounds.form is not None and not len(self._places):
            return False
        return self._bounds.end is None or self._ended

    def may_follow(self, step: int) -> bool:
        """Whether another bar may begin, where a pitch is free from a step on."""
        if self._form is not None:
            return self._form.may_go_on(self._ended)
        return self._notes.may_follow(step, self._ended)

    def can_begin(self, step: int, free: Ints, must: bool) -> Mask:
        """[rows] where a note may begin at a step of this bar.

        free: [rows] the step from which on each is free. must: a note has to, so a step of a primer breaks the form.
        """
        shortest = int(self._notes.shortest(np.array([step]), self._ended)[0])
        can: Mask = (free <= step) & (shortest > 0)
        if self._form is None:
            return can
        fits = self._seen & (not self._form.copying)
        fits[self._seen] &= self._form.room[:, step - self._line] >= shortest
        return can if must and not (can & fits).any() else can & fits

    def lengths(self, step: int, row: int) -> Mask:
        """[M] the lengths of a note at a step of this bar."""
        lengths = self._notes.at(step, self._ended)
        if self._form is not None and self._seen[row]:
            fits = lengths & (np.arange(len(lengths)) < self._form.room[self._row[row], step - self._line])
            return fits if fits.any() else lengths  # none does if the note is a primer's last token
        return lengths

    def may_begin(self, places: Ints, free: Ints) -> Mask:
        """Whether a note may begin at each of the given steps of this bar, where one may at all."""
        steps = self._line + places
        if self._form is None:
            room = np.where(steps >= free.min(), ANY, 0)
        elif self._form.copying:
            return np.zeros(len(places), dtype=np.bool_)
        else:
            is_free = free[self._seen][:, None] <= steps
            room = np.where(is_free, self._form.room[:, places], 0).max(axis=0)
        shortest = self._notes.shortest(steps, self._ended)
        may: Mask = (shortest > 0) & (shortest <= room)
        return may

    def measure(self, places: Mask) -> None:
        """A time signature: a note may begin at these steps of a bar."""
        form, begins = self._bounds.form, not len(self._places)
        self._places = places
        self._notes = NoteLengths(self._bounds, self._lengths, places)
        if begins and form and self._bounds.end == len(form) * len(places):
            place = self._notes.last - (len(form) - 1) * len(places)
            if place >= 0:
                self._form = Returning(form, len(places), int(self._seen.sum()), len(self._lengths), place)

    def begin(self, line: int, written: Callable[[list[Note]], list[int]]) -> None:
        """A bar begins at a step. written: as for `Returning.begin`."""
        self._line, form = line, self._form
        if form is None:
            return
        if form.last or form.bar_steps != len(self._places) or line != (form.bar + 1) * form.bar_steps:
            self._form, self._here = None, self._bounds  # a stream that does not keep to the bounds
        else:
            form.begin(self._ended, written)
            self._ended = False
            self._here = replace(self._bounds, end=line + form.bar_steps if form.closing else None)
        self._notes = NoteLengths(self._here, self._lengths, self._places)

    def take(self, token: int) -> None:
        """A token behind the beginning of a bar."""
        if self._form is not None:
            self._form.take(token)

    def note(self, row: int, place: int, length: int, tokens: tuple[int, ...]) -> None:
        """A complete note of this bar. tokens: as for `Note`."""
        end = self._line + place + length
        self._ended |= self._here.end is not None and self._here.may_end(end)
        if self._form is not None:
            allowed = bool(self._bounds.tokens[list(tokens)].all()) and length <= self._bounds.longest
            self._form.add(Note(int(self._row[row]), place, length, tokens), allowed)


class BoundedNoteTokens(BoundedGrammar):
    """What REMI and TSD share: parts, pitches, lengths."""

    def __init__(self, base: Grammar, bounds: Bounds, ids: NoteTokens) -> None:
        super().__init__(base, bounds)
        self._ids = ids
        self._lengths = bounds.tokens[ids.kinds["Duration"]]
        self._now = 0
        self._reached = 0  # the step at which the last note ends
        self._ended = False  # whether a note ends where the piece may end
        self._part = self._pitch = 0  # of the note that is being written
        self._latest = (-1, -1)  # part and pitch of the last note at this step
        seen = np.stack([self._seen_of(part) for part in self._parts])
        # [parts, 128] the step from which on each pitch is free; pitches that may not be sampled never are
        self._free = np.where(seen, 0, np.iinfo(np.int64).max)

    @property
    def reached(self) -> int:
        return self._reached

    @property
    def _parts(self) -> range:
        return range(129) if self._ids.programs else range(1)

    def _seen_of(self, part: int) -> Mask:
        """[128] the pitches of a part that may be sampled."""
        ids, tokens = self._ids, self.bounds.tokens
        seen = np.zeros(128, dtype=np.bool_)
        if ids.programs:
            program = np.flatnonzero(ids.parts == part)
            if not len(program) or not tokens[ids.kinds["Program"]][program[0]]:
                return seen
        pitches = tokens[ids.kinds["PitchDrum" if ids.programs and part == 128 else "Pitch"]]
        seen[: len(pitches)] = pitches
        return seen

    def _can_begin(self) -> Mask:
        """[parts, 128] the pitches at which a note may begin now."""
        can: Mask = self._free <= self._now
        part, pitch = self._latest
        if part >= 0:
            can[:part] = False
            can[part, : pitch + 1] = False
        return can

    def _bound_notes(self, within: Mask, lengths: Mask, free: Mask) -> None:
        """Keep the tokens of a note at this step. lengths: [M] those that it may have; free: [parts, 128]."""
        ids = self._ids
        within[ids.kinds["Duration"]] &= lengths
        can: Mask = np.logical_and(free, lengths.any())
        if ids.programs:
            within[ids.kinds["Program"]] &= can.max(axis=1)[ids.parts]
            drums = within[ids.kinds["PitchDrum"]]
            drums &= can[128, : len(drums)] | (self._part != 128)
        pitches = within[ids.kinds["Pitch"]]
        pitches &= can[self._part, : len(pitches)]

    def _take_note(self, kind: str, index: int) -> None:
        if kind == "Program":
            self._part = int(self._ids.parts[index])
        elif kind in ("Pitch", "PitchDrum"):
            self._pitch = index
        elif kind == "Duration":
            end = self._now + index + 1
            self._free[self._part, self._pitch] = end
            self._latest = (self._part, self._pitch)
            self._reached = max(self._reached, end)
            self._ended |= self.bounds.end is not None and self.bounds.may_end(end)


class BoundedRemi(BoundedNoteTokens):
    """Bars follow while a note in them may lead to the end, or as the form has them (`BarByBar`)."""

    def __init__(self, base: Grammar, bounds: Bounds, ids: NoteTokens) -> None:
        super().__init__(base, bounds, ids)
        self._bar = -1  # the step at which this bar begins; -1 before the first
        self._bar_steps = 0
        self._bars = BarByBar(bounds, self._lengths, self._free.reshape(-1) == 0)
        self._note: tuple[int, ...] = ()  # the tokens of the note that is being written

    def _within(self) -> Mask:
        ids, bars, free = self._ids, self._bars, self._free.reshape(-1)
        if bars.forced is not None:
            forced: Mask = np.arange(len(self.bounds.tokens)) == bars.forced
            return forced
        within = self.bounds.tokens.copy()
        within[EOS] = bars.may_end
        if not self._bar_steps:
            return within
        can = self._can_begin() & bars.can_begin(self._now, free, self._latest == (-1, -1)).reshape(self._free.shape)
        self._bound_notes(within, np.ones_like(self._lengths), can)
        within[ids.kinds["Duration"]] &= bars.lengths(self._now, self._part * 128 + self._pitch)
        within[ids.kinds["Bar"]] &= bars.may_follow(max(self._bar + self._bar_steps, int(free.min())))
        places = within[ids.kinds["Position"]]
        places[self._bar_steps :] = False
        chosen = np.flatnonzero(places)
        places[chosen] = bars.may_begin(chosen, free)
        return within

    def _follow(self, token: int) -> None:
        kind, index = self._ids.kind(token)
        if kind == "Bar":
            self._bar = max(self._bar, 0) + self._bar_steps
            return
        if kind == "TimeSig":
            self._bar_steps = (index + 1) * self._ids.steps_per_quarter
            self._bars.measure(self.bounds.tokens[self._ids.kinds["Position"]][: self._bar_steps])
            self._now = self._bar
            self._bars.begin(self._bar, self._written)
            return
        self._bars.take(token)
        if kind == "Position":
            self._now, self._latest, self._note = self._bar + index, (-1, -1), ()
            return
        self._take_note(kind, index)
        self._note = (*self._note, token)
        if kind == "Duration":
            row = self._part * 128 + self._pitch
            self._bars.note(row, self._now - self._bar, index + 1, self._note)
            self._note = ()

    def _written(self, notes: list[Note]) -> list[int]:
        first, tokens, place = self._ids.kinds["Position"].start, list[int](), -1
        for note in notes:
            tokens += [first + note.place] * (note.place != place) + list(note.tokens)
            place = note.place
        return tokens


class BoundedTsd(BoundedNoteTokens):
    """Shifts lead only to steps from which the end can be reached; one pitch is always left free for the next note."""

    def __init__(self, base: Grammar, bounds: Bounds, ids: NoteTokens) -> None:
        super().__init__(base, bounds, ids)
        self._steps = np.arange(1, len(self._lengths) + 1)
        self._may = self._lengths & (self._steps <= bounds.longest)
        self._shifts = np.flatnonzero(bounds.tokens[ids.kinds["TimeShift"]]) + 1
        self._onward, self._note_at = self._reach()

    def _reach(self) -> tuple[Mask, Mask]:
        """[end + M] whether a shift may follow at a step, and whether a note may begin there."""
        end = self.bounds.end
        if end is None:
            return np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
        longest = self._ids.longest
        onward: Mask = np.zeros(end + longest + 1, dtype=np.bool_)
        note_at = np.zeros_like(onward)
        shortest = int(self._steps[self._may].min(initial=end + 1))
        for step in range(end - 1, -1, -1):
            onward[step] = self._targets(step, onward, note_at).any()
            note_at[step] = self._reaches(step).any() or (onward[step] and step + shortest <= end)
        return onward, note_at

    def _targets(self, step: int, onward: Mask, note_at: Mask) -> Mask:
        """[S] the shifts from a step after which the end can be reached: by a note, or by another shift."""
        to = step + self._shifts
        # only the longest shift may be followed by another
        again = (self._shifts == self._ids.longest) & onward[to]
        targets: Mask = note_at[to] | again
        return targets

    def _reaches(self, step: int) -> Mask:
        """[M] the lengths with which a note at a step ends where the piece may end."""
        bounds, ends = self.bounds, step + self._steps
        end = 0 if bounds.end is None else bounds.end
        return self._may & (ends >= end - bounds.rest) & (ends <= end)

    def _within(self) -> Mask:
        ids, bounds, now = self._ids, self.bounds, self._now
        within = bounds.tokens.copy()
        can = self._can_begin()
        if int((self._free <= now).sum()) == 1 and int((self._free < np.iinfo(np.int64).max).sum()) > 1:
            can[:] = False
        if bounds.end is None:
            self._bound_notes(within, self._may, can)
            return within
        onward = now < bounds.end and bool(self._onward[now])
        more = self._may & (now + self._steps <= bounds.end) & (onward or self._ended)
        self._bound_notes(within, self._reaches(now) | more, can)
        shifts = within[ids.kinds["TimeShift"]]
        shifts[:] = False
        if now < bounds.end:
            to = self._shifts
            if self._ended:  # a note comes after it
                fits = now + to + int(self._steps[self._may].min(initial=bounds.end + 1)) <= bounds.end
            else:
                fits = self._targets(now, self._onward, self._note_at)
            shifts[to[fits] - 1] = True
        within[EOS] = self._ended
        return within

    def _follow(self, token: int) -> None:
        kind, index = self._ids.kind(token)
        if kind == "TimeShift":
            self._now, self._latest = self._now + index + 1, (-1, -1)
        elif kind != "TimeSig":
            self._take_note(kind, index)
