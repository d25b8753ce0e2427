"""Grammars within bounds for notes that are written with their lengths: `bars`, and REMI and TSD of MidiTok."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.grammar import Grammar
from seqaudio.vocabulary import EOS

if TYPE_CHECKING:
    from seqaudio.tokens.miditok.grammar import NoteTokens

Ints = npt.NDArray[np.int64]


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
    """Bars follow while a note in them may still lead to the end; each note is as long as `NoteLengths` permits."""

    def __init__(self, base: Grammar, bounds: Bounds, ids: NoteTokens) -> None:
        super().__init__(base, bounds, ids)
        self._bar = -1  # the step at which this bar begins; -1 before the first
        self._bar_steps = 0
        self._notes = NoteLengths(bounds, self._lengths, bounds.tokens[ids.kinds["Position"]])

    def _within(self) -> Mask:
        ids, bounds = self._ids, self.bounds
        within = bounds.tokens.copy()
        within[EOS] = bounds.end is None or self._ended
        if not self._bar_steps:
            return within
        self._bound_notes(within, self._notes.at(self._now, self._ended), self._can_begin())
        free = int(self._free.min())
        within[ids.kinds["Bar"]] &= self._notes.may_follow(max(self._bar + self._bar_steps, free), self._ended)
        places = within[ids.kinds["Position"]]
        steps = np.arange(self._bar, self._bar + len(places))
        places &= (steps >= free) & self._notes.may_begin(steps, self._ended)
        return within

    def _follow(self, token: int) -> None:
        kind, index = self._ids.kind(token)
        if kind == "Bar":
            self._bar = max(self._bar, 0) + self._bar_steps
        elif kind == "TimeSig":
            self._bar_steps = (index + 1) * self._ids.steps_per_quarter
            places = self.bounds.tokens[self._ids.kinds["Position"]][: self._bar_steps]
            self._notes = NoteLengths(self.bounds, self._lengths, places)
        elif kind == "Position":
            self._now, self._latest = self._bar + index, (-1, -1)
        else:
            self._take_note(kind, index)


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
