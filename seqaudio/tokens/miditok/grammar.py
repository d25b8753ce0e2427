"""The grammars of MidiTok's REMI and TSD: which tokens may come next, and how many a complete stream still needs.

Both write a note as Pitch, Velocity, Duration, preceded by Program where programs are written; they differ in how they
write time. All costs here are numbers of tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.miditok.quarter_signatures import COMMON, MAX_QUARTERS
from seqaudio.tokens.representation import Grammar, refuse_special
from seqaudio.vocabulary import EOS

NEVER = 1 << 40  # the cost of an illegal token
DRUMS = 128  # the part of percussion; other parts are programs. Where programs are not written, part 0 holds all notes

Costs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NoteTokens:
    """The ids of each kind of token. Those of durations and shifts stand for 1, 2 ... steps."""

    tokens: tuple[str, ...]
    steps_per_quarter: int
    kinds: dict[str, slice]  # such as Pitch -> ids of pitch 0, 1 ... 127
    parts: npt.NDArray[np.int64]  # the part of each Program token, by id; empty where programs are not written

    @classmethod
    def of(cls, tokens: tuple[str, ...], steps_per_quarter: int) -> NoteTokens:
        names = [token.partition("_")[0] for token in tokens]
        found = {name: slice(names.index(name), len(names) - names[::-1].index(name)) for name in dict.fromkeys(names)}
        programs = [int(token.partition("_")[2]) for token in tokens if token.startswith("Program_")]
        parts = np.array([DRUMS if program < 0 else program for program in programs], dtype=np.int64)
        return cls(tokens, steps_per_quarter, found, parts)

    @property
    def programs(self) -> bool:
        return len(self.parts) > 0

    @property
    def longest(self) -> int:
        """Steps of the longest note."""
        durations = self.kinds["Duration"]
        return int(durations.stop - durations.start)

    def kind(self, token: int) -> tuple[str, int]:
        """The kind of a token and its index among the tokens of that kind."""
        name = self.tokens[token].partition("_")[0]
        return name, token - self.kinds[name].start


class _Stage(Enum):
    """The kind of the last token."""

    BEGIN = auto()
    BAR = auto()
    TIME_SIGNATURE = auto()
    TIME = auto()  # a position, or a shift
    PROGRAM = auto()
    PITCH = auto()
    VELOCITY = auto()
    NOTE = auto()  # a duration, which completes a note
    EOS = auto()


_REASONS = {  # why a token is illegal where other tokens of its kind are legal
    "Program": "at one time parts come by rising program, percussion last, and the part needs a pitch that is free",
    "Pitch": "it sounds already, or is not above the previous pitch",
    "PitchDrum": "it sounds already, or is not above the previous drum",
    "Position": "positions rise within a bar and lie inside it, and a pitch must be free there",
    "TimeSig": "a time signature changes at a bar line, before the notes there, and differs from the previous one",
    "TimeShift": "only the longest shift may be followed by a shift",
}


class EventGrammar(Grammar):
    """The rules that REMI and TSD share: notes are sorted by part and pitch, and do not overlap within a pitch."""

    def __init__(self, ids: NoteTokens) -> None:
        self._ids = ids
        self._stage = _Stage.BEGIN
        self._now = 0
        self._bar_quarters = COMMON
        self._bar = 0  # step at which this bar begins; in TSD, at which this time signature begins
        self._part = 0  # of the note that is being written
        self._pitch = 0
        self._latest = (-1, -1)  # part and pitch of the last note at this time
        # [parts, 128] the step from which on each pitch is free
        self._free = np.zeros((DRUMS + 1 if ids.programs else 1, 128), dtype=np.int64)

    @abstractmethod
    def _time_costs(self, costs: Costs) -> None:
        """Fill in the costs of the tokens of time and time signature. Called only between complete notes."""

    @abstractmethod
    def _take_time(self, kind: str, index: int) -> None:
        """Append a legal token of time or time signature."""

    @property
    def _note_cost(self) -> int:
        return 4 if self._ids.programs else 3

    @property
    def _bar_steps(self) -> int:
        return self._bar_quarters * self._ids.steps_per_quarter

    def push(self, token: int) -> None:
        refuse_special(token, len(self._ids.tokens))
        if self._stage is _Stage.EOS:
            raise ValueError("nothing follows <eos>")
        kind, index = self._ids.kind(token)
        costs = self._costs()
        if costs[token] >= NEVER:
            raise ValueError(self._reason(kind, costs))
        if token == EOS:
            self._stage = _Stage.EOS
        elif kind == "Program":
            self._stage, self._part = _Stage.PROGRAM, int(self._ids.parts[index])
        elif kind in ("Pitch", "PitchDrum"):
            self._stage, self._pitch = _Stage.PITCH, index
        elif kind == "Velocity":
            self._stage = _Stage.VELOCITY
        elif kind == "Duration":
            self._stage, self._latest = _Stage.NOTE, (self._part, self._pitch)
            self._free[self._part, self._pitch] = self._now + index + 1
        else:
            self._take_time(kind, index)

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        legal: npt.NDArray[np.bool_] = self._costs() <= (NEVER - 1 if room is None else room)
        return legal

    def shortest_end(self) -> int:
        return 0 if self._stage is _Stage.EOS else int(self._costs().min())

    def _reason(self, kind: str, costs: Costs) -> str:
        expected = [name for name, span in self._ids.kinds.items() if (costs[span] < NEVER).any()]
        return _REASONS[kind] if kind in expected else f"expected {' or '.join(expected)}"

    def _costs(self) -> Costs:
        """[V] fewest tokens to the end, each token itself included; 0 for EOS, NEVER for illegal tokens."""
        ids, stage = self._ids, self._stage
        costs = np.full(len(ids.tokens), NEVER, dtype=np.int64)
        if stage is _Stage.EOS:
            return costs
        if stage is _Stage.PROGRAM:
            self._pitch_costs(costs)
        elif stage is _Stage.PITCH:
            costs[ids.kinds["Velocity"]] = 2
        elif stage is _Stage.VELOCITY:
            costs[ids.kinds["Duration"]] = 1
        else:
            if stage in (_Stage.NOTE, _Stage.TIME, _Stage.TIME_SIGNATURE):
                self._note_costs(costs)
            self._time_costs(costs)
            if stage in (_Stage.NOTE, _Stage.BEGIN):
                costs[EOS] = 0
        return costs

    def _can_begin(self) -> npt.NDArray[np.bool_]:
        """[parts, 128] the pitches at which a note may begin now."""
        can: npt.NDArray[np.bool_] = np.less_equal(self._free, self._now)
        part, pitch = self._latest
        if part >= 0:
            can[:part] = False
            can[part, : pitch + 1] = False
        return can

    def _note_costs(self, costs: Costs) -> None:
        can = self._can_begin()
        if self._ids.programs:
            costs[self._ids.kinds["Program"]] = np.where(can.max(axis=1)[self._ids.parts], 4, NEVER)
        else:
            costs[self._ids.kinds["Pitch"]] = np.where(can[0], 3, NEVER)

    def _pitch_costs(self, costs: Costs) -> None:
        kind = "PitchDrum" if self._part == DRUMS else "Pitch"
        costs[self._ids.kinds[kind]] = np.where(self._can_begin()[self._part], 3, NEVER)

    def _all_free(self) -> int:
        """The step from which on at least one pitch is free."""
        return int(self._free.min())


class RemiGrammar(EventGrammar):
    """Bar and TimeSig for every bar, then rising positions with at least one note each; the last bar has a note."""

    def _time_costs(self, costs: Costs) -> None:
        ids, free = self._ids, self._all_free()
        position = 1 + self._note_cost
        if self._stage is _Stage.BAR:
            ends = self._bar + ids.steps_per_quarter * np.arange(1, MAX_QUARTERS + 1)
            # where all pitches sound to the end of the bar, one more bar of twelve quarters is enough to end a note
            costs[ids.kinds["TimeSig"]] = 1 + position + 2 * (free >= ends)
            return
        if self._stage is not _Stage.TIME:
            costs[ids.kinds["Bar"]] = 2 + position
        if self._stage in (_Stage.TIME_SIGNATURE, _Stage.NOTE):
            times = self._bar + np.arange(self._bar_steps)
            later = times > self._now if self._stage is _Stage.NOTE else times >= self._bar
            first = ids.kinds["Position"].start
            costs[first : first + len(times)] = np.where(later & (times >= free), position, NEVER)

    def _take_time(self, kind: str, index: int) -> None:
        if kind == "Bar":
            self._bar += self._bar_steps if self._stage is not _Stage.BEGIN else 0
            self._stage = _Stage.BAR
        elif kind == "TimeSig":
            self._stage, self._bar_quarters = _Stage.TIME_SIGNATURE, index + 1
        else:
            self._stage, self._now, self._latest = _Stage.TIME, self._bar + index, (-1, -1)

    def _costs(self) -> Costs:
        costs = super()._costs()
        if self._stage is _Stage.TIME_SIGNATURE:
            # notes come after a position
            for kind in ("Program", "Pitch"):
                if kind in self._ids.kinds:
                    costs[self._ids.kinds[kind]] = NEVER
        return costs


class TsdGrammar(EventGrammar):
    """TimeSig first and where it changes, notes, and shifts of time, the longest shift first; a note comes last."""

    def __init__(self, ids: NoteTokens) -> None:
        super().__init__(ids)
        self._shifted = 0  # steps of the last shift

    def _time_costs(self, costs: Costs) -> None:
        ids, stage, note = self._ids, self._stage, self._note_cost
        free, longest = self._all_free(), ids.longest
        at_bar = (self._now - self._bar) % self._bar_steps == 0
        if stage is _Stage.BEGIN or (stage is _Stage.TIME and at_bar):
            signatures = costs[ids.kinds["TimeSig"]]
            signatures[:] = 1 + note + (free > self._now)
            if stage is _Stage.TIME:
                signatures[self._bar_quarters - 1] = NEVER
        if stage in (_Stage.NOTE, _Stage.TIME_SIGNATURE) or (stage is _Stage.TIME and self._shifted == longest):
            times = self._now + np.arange(1, longest + 1)
            bars = (times - self._bar) % self._bar_steps == 0
            # after a short shift to a time at which no pitch is free, only a time signature and then a shift may follow
            blocked = np.where(bars, 3 + note, NEVER)
            costs[ids.kinds["TimeShift"]] = np.where(times >= free, 1 + note, blocked)

    def _take_time(self, kind: str, index: int) -> None:
        if kind == "TimeSig":
            self._stage, self._bar_quarters, self._bar = _Stage.TIME_SIGNATURE, index + 1, self._now
        else:
            self._stage, self._shifted, self._latest = _Stage.TIME, index + 1, (-1, -1)
            self._now += index + 1
