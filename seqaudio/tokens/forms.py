"""Forms of pieces: which bar returns as which earlier one, in training pieces and in a piece that is sampled.

forms_of(rows) ─> Forms in the run folder ─> a form is drawn ─> `Bounds.form` ─> Returning, in the bounded grammars

A form is a tuple with an entry for each bar: the first bar that it equals, itself where it is new, counted from 0. As
text it is written in runs of bars, counted from 1: `1-4 1-2 7-8` is a piece of eight bars whose fifth and sixth are its
first two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.representation import TokenRepresentation

Form = tuple[int, ...]
Ints = npt.NDArray[np.int64]

MOST_FORMS = 512  # of a run; of more training pieces every so many-th is taken
MOST_BARS = 1024  # of a form that is kept
UNSEEN = -1  # the row of a pitch that may not be sampled


def form_of(bars: Iterable[Hashable]) -> Form:
    """The form of a piece: bars are equal where their contents are."""
    first: dict[Hashable, int] = {}
    return tuple(first.setdefault(content, number) for number, content in enumerate(bars))


def lettered(letters: str, bars: int) -> Form:
    """The form of groups of equal length with a letter each, such as AABA; `bars` is a multiple of their number."""
    group = bars // len(letters)
    return tuple(letters.index(letter) * group + bar for letter in letters for bar in range(group))


def of_length(form: Form, bars: int) -> Form:
    """A form of so many bars: the beginning of a longer one; a shorter one is followed by itself, with other bars."""
    return tuple(form[bar % len(form)] + bar // len(form) * len(form) for bar in range(bars))


def spelt(form: Form) -> str:
    """A form as text, such as `1-4 1-2 7-8`."""
    runs: list[list[int]] = []
    for bar in form:
        if runs and bar == runs[-1][1] + 1:
            runs[-1][1] = bar
        else:
            runs.append([bar, bar])
    return " ".join(f"{begin + 1}-{end + 1}" if end > begin else f"{begin + 1}" for begin, end in runs)


def form_named(text: str) -> Form:
    """The inverse of `spelt`. Raises ValueError for any other text."""
    form: list[int] = []
    for run in text.split(" "):
        begin, _, end = run.partition("-")
        if not all(number.isascii() and number.isdecimal() and len(number) < 5 for number in (begin, end or begin)):
            raise ValueError(f"form {text!r}, expected runs of bars such as 1-4 1-2")
        form += range(int(begin) - 1, int(end or begin))
        if len(form) > MOST_BARS:
            raise ValueError(f"form of more than {MOST_BARS} bars")
    if spelt(tuple(form)) != text or any(not 0 <= bar <= at or form[bar] != bar for at, bar in enumerate(form)):
        raise ValueError(f"form {text!r}, expected each bar to be a new one or the first that it equals")
    return tuple(form)


@dataclass(frozen=True)
class Forms:
    """The forms of training pieces. Raises ValueError for texts that are none, or too many."""

    spelt: tuple[str, ...]  # one for each piece, as often as it occurs

    def __post_init__(self) -> None:
        if not 1 <= len(self.spelt) <= MOST_FORMS:
            raise ValueError(f"{len(self.spelt)} forms, expected 1 to {MOST_FORMS}")
        _ = self.forms

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        return tuple(map(form_named, self.spelt))

    @classmethod
    def of(cls, representation: TokenRepresentation, rows: Collection[Ints]) -> Forms | None:
        """The forms of the rows [T] of a split; None where bars of the representation cannot return, or without any."""
        if not representation.keeps_form:
            return None
        chosen = islice(rows, 0, None, max(1, -(-len(rows) // MOST_FORMS)))
        found = (form_of_ids(representation, row) for row in chosen)
        texts = tuple(spelt(form) for form in found if 0 < len(form) <= MOST_BARS)
        return cls(texts) if texts else None

    def to_json(self) -> dict[str, list[str]]:
        """As `config.json` of a run holds it."""
        return {"spelt": list(self.spelt)}

    def nearest(self, bars: int) -> list[Form]:
        """The forms with as many bars, or those whose length is nearest, of two as near the shorter."""
        length = min((len(form) for form in self.forms), key=lambda length: (abs(length - bars), length))
        return [form for form in self.forms if len(form) == length]

    def describe(self) -> str:
        """The figures in one line."""
        shares = sorted(returning(form) / len(form) for form in self.forms)
        return (
            f"forms of {len(shares):,} piece{'s' * (len(shares) > 1)}: bars that return, {shares[0]:.0%} to "
            f"{shares[-1]:.0%} of a piece (median {shares[len(shares) // 2]:.0%})"
        )


def form_of_ids(representation: TokenRepresentation, ids: Sequence[int] | Ints) -> Form:
    """The form of a piece of tokens."""
    return form_of(contents_of_bars(representation, np.asarray(ids, dtype=np.int64)))


def returning(form: Form) -> int:
    """How many bars return as an earlier one."""
    return sum(bar != number for number, bar in enumerate(form))


def contents_of_bars(representation: TokenRepresentation, ids: Ints) -> list[bytes]:
    """The pitches and the rhythm of each bar of a row [T]: its tokens but those of velocities and time signatures."""
    assert representation.bar_places is not None
    sound = np.array(
        [not token.lower().startswith(("velocity", "metre", "timesig")) for token in representation.tokens]
    )
    kept = np.asarray(ids)[sound[ids]]
    begins = np.flatnonzero(kept == representation.bar_places[0])
    return [bar.tobytes() for bar in islice(np.split(kept, begins), 1, None)]


class Note(NamedTuple):
    """A note within a bar."""

    row: int  # its pitch, or pitch and part, of those that may be sampled; otherwise UNSEEN
    place: int  # step of the bar
    length: int  # steps
    tokens: tuple[int, ...]  # that write it, without its step


class Returning:
    """The bars of a piece that is written in a given form, one after the other: what each may hold, and must.

    A note of a bar that returns is written wherever that bar returns, so it must fit there too: it may not sound into a
    note of its pitch, nor beyond the end of the piece, and no note that was written may sound into it. So a bar that
    returns can always be written as it was. Some notes are not chosen, such as those of a primer: where one does not
    fit at a place, the bar there is new instead. The last bar, and so the bar that it returns as, must have a note that
    ends where the piece may; the step of that note is kept free of notes that began in earlier bars.

    Args:
        form: of the piece.
        bar_steps: steps of a bar.
        rows: different pitches, or pitches and parts.
        longest: steps of the longest note.
        place: step of a bar from which on a note can end where the piece may.
    """

    def __init__(self, form: Form, bar_steps: int, rows: int, longest: int, place: int) -> None:
        self.first = list(form)
        self.bar_steps = bar_steps
        self.bar = -1  # the number of this bar
        self._place, self._reach = place, bar_steps + longest
        self._end = len(form) * bar_steps
        self._notes: list[list[Note]] = []  # of each bar
        # [rows, steps] where notes sound, in bars that are written and in those that will be written as they are
        self._taken: npt.NDArray[np.bool_] = np.zeros((rows, self._end + self._reach), dtype=np.bool_)
        self._taken[:, self._end :] = True
        self._queue: list[int] = []  # the tokens that must come next, the last one first
        self.room: Ints = np.zeros((rows, bar_steps), dtype=np.int64)

    @property
    def forced(self) -> int | None:
        """The token that must come next; None where it is free."""
        return self._queue[-1] if self._queue else None

    @property
    def copying(self) -> bool:
        """Whether this bar is an earlier one."""
        return self.bar >= 0 and self.first[self.bar] != self.bar

    @property
    def closing(self) -> bool:
        """Whether the last bar is this one, or returns as it."""
        return self.bar >= 0 and self.first[self.bar] == self.first[-1]

    @property
    def last(self) -> bool:
        """Whether this is the last bar."""
        return self.bar == len(self.first) - 1

    def may_end(self, ended: bool) -> bool:
        """Whether the piece may end. `ended`: a note of this bar ends where that of a last bar may."""
        return self.last and ended and not self._queue

    def may_go_on(self, ended: bool) -> bool:
        """Whether the next bar may begin."""
        return not self.last and not self._queue and (ended or not self.closing)

    def begin(self, ended: bool, written: Callable[[list[Note]], list[int]]) -> None:
        """Begin the next bar. written: the tokens of a bar that is written as it was, from its notes."""
        if self.closing and not ended and not self.last:  # a bar of a primer cannot be the last one
            self._renew([len(self.first) - 1])
        self.bar += 1
        self._notes.append([])
        if self.copying:
            self._queue = written(self._notes[self.first[self.bar]])[::-1]
        else:
            self.room = self._rooms(slice(None))

    def take(self, token: int) -> None:
        """Follow a token behind the beginning of a bar, whether or not it is the one that must come."""
        if self._queue and token == self._queue[-1]:
            self._queue.pop()
        elif self.copying:
            self.first[self.bar] = self.bar
            self._queue = []
            self._write_all()

    def add(self, note: Note, allowed: bool = True) -> None:
        """Follow a complete note. allowed: whether its tokens may be sampled, so that it may be written again."""
        self._notes[self.bar].append(note)
        if self.copying:
            return
        lost = self._struck(note)
        self._sound(self.bar, note)
        for use in self._uses()[1:]:
            if use in lost:
                continue
            if allowed and note.row != UNSEEN and self._fits(use, note):
                self._sound(use, note)
            else:
                lost.append(use)
        if lost:
            self._renew(lost)
        elif note.row != UNSEEN:
            self.room[note.row] = self._rooms(slice(note.row, note.row + 1))[0]

    def _uses(self) -> list[int]:
        """This bar and those that return as it."""
        return [bar for bar in range(self.bar, len(self.first)) if self.first[bar] == self.bar]

    def _struck(self, note: Note) -> list[int]:
        """The later bars into whose notes a note of this bar sounds, as none does that was chosen."""
        begin = self.bar * self.bar_steps + note.place
        until = min(begin + note.length, self._end)
        if note.row == UNSEEN or until <= (self.bar + 1) * self.bar_steps:
            return []
        struck = np.flatnonzero(self._taken[note.row, begin:until]) + begin
        return [bar for bar in np.unique(struck // self.bar_steps).tolist() if bar > self.bar]

    def _kept_free(self) -> Ints:
        """The steps that notes of earlier bars may not reach: those at which the last note of a last bar may begin."""
        closing = self.first[-1]
        if closing <= self.bar:
            return np.zeros(0, dtype=np.int64)
        return (
            np.array([bar for bar, first in enumerate(self.first) if first == closing]) * self.bar_steps + self._place
        )

    def _fits(self, use: int, note: Note) -> bool:
        begin = use * self.bar_steps + note.place
        kept = self._kept_free()
        beyond = ((kept > begin) & (kept < begin + note.length)).any()
        return not beyond and not self._taken[note.row, begin : begin + note.length].any()

    def _rooms(self, rows: slice) -> Ints:
        """[rows, S] how many steps a note may last from each step of this bar on, wherever the bar returns."""
        kept, uses, steps = self._kept_free(), self._uses(), np.arange(self._reach)
        # not into itself, where the bar returns
        room = np.full((1, self.bar_steps), np.diff(uses).min(initial=len(self.first)) * self.bar_steps)
        for use in uses:
            begin = use * self.bar_steps
            blocked = self._taken[rows, begin : begin + self._reach].copy()
            blocked[:, kept[(kept > begin) & (kept < begin + self._reach)] - begin] = True
            ends = np.where(blocked, steps, self._reach)
            ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
            room = np.minimum(room, ends[:, : self.bar_steps] - steps[: self.bar_steps])
        return room

    def _renew(self, bars: Sequence[int]) -> None:
        """Make bars that come later new ones: equal to each other if they were, but to none before them."""
        was = list(self.first)
        for bar in bars:
            self.first[bar] = min(other for other in bars if was[other] == was[bar])
        self._write_all()

    def _write_all(self) -> None:
        """Work out again where notes sound."""
        self._taken[:, : self._end] = False
        for bar, first in enumerate(self.first):
            source = bar if bar <= self.bar else first
            for note in self._notes[source] if source <= self.bar else ():
                self._sound(bar, note)
        if self.bar >= 0 and not self.copying:
            self.room = self._rooms(slice(None))

    def _sound(self, bar: int, note: Note) -> None:
        begin = bar * self.bar_steps + note.place
        if note.row != UNSEEN:
            self._taken[note.row, begin : begin + note.length] = True
