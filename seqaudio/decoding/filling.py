"""Write new bars into a piece with a model that is told both sides of them; everything outside stays note for note.

stretch = Stretch.of(representation, notes, first=5, last=8)
ids = sample(model, stretch, generator=generator, max_events=None, primer=stretch.context)
stretch.filled(ids[len(stretch.context):])          # `notes` with other notes in bars 5 to 8

The model reads the bars before, a mark that says how many are missing, the bars behind and the mark `<fill>`; then it
writes the missing ones, as in training (`batching/filling.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, gcd

import numpy as np
import numpy.typing as npt

from seqaudio.batching import BarMarks
from seqaudio.errors import OptionError, RunError
from seqaudio.notes.bars import bars
from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import MAX_RESOLUTION, NoteSequence
from seqaudio.run_folder import RunFolder
from seqaudio.tokens.bars import PITCHES, BarsGrammar, BarsIds, BarsRepresentation
from seqaudio.tokens.bounds import Bounds
from seqaudio.tokens.grammar import Grammar
from seqaudio.tokens.repertoire import bounds_of
from seqaudio.tokens.representation import Representation, representation_of
from seqaudio.vocabulary import EOS, FILL_MARKS, MOST_FILLED

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def marks_for(representation: Representation | None, share: float) -> BarMarks | None:
    """The marks of missing bars for a training with `--fill SHARE`; None where the share is 0.

    Raises OptionError for any representation but `bars`: in others a bar cannot be read without the one before it.
    """
    if not share:
        return None
    if not isinstance(representation, BarsRepresentation):
        raise OptionError(
            f"--fill {share:g}: needs a store of --representation bars, this one has "
            f"{'no notes' if representation is None else representation.spelt}; leave it out, or prepare another store"
        )
    ids = representation.ids
    return BarMarks(ids.bar, range(ids.metre, ids.bar), ids.size)


def marks_of(run: RunFolder) -> BarMarks | None:
    """The marks of missing bars that a run was trained with; None where it was trained without."""
    if run.vocabulary.names[-len(FILL_MARKS) :] != FILL_MARKS:
        return None
    return marks_for(representation_of(run.input["settings"]), 1.0)


def require_marks(run: RunFolder) -> None:
    """Raise RunError for a run that was not trained to fill in bars; the message says which training makes one."""
    run.require("music_generation", "filling in bars")
    if marks_of(run) is None:
        raise RunError(
            f"{run.path}: not trained to fill in bars; seqaudio train music_generation --fill 0.5, on a store of "
            f"--representation bars, makes a run that is"
        )


@dataclass(frozen=True, eq=False)
class Stretch:
    """Bars of a piece that are to be written anew, and all that stays. Steps are those of the stream of tokens.

    Attributes:
        piece: the notes as they were given.
        inside: [N] whether a note of the piece begins in the stretch; drums never count as inside.
        before, behind: the tokens of the bars on both sides.
        lines: the step at which each bar of the stretch begins, and that at which the last one ends.
        metres: for each bar, the token of a time signature that stands before it, or None.
        origin: ticks from the beginning of the stream to that of the piece, which may begin with an upbeat.
        free: [128] the step from which on no note from before the stretch sounds at each pitch.
        until: [128] the step at which a new note must have ended, as the piece goes on there.
        allowed: [V] tokens that may be written. longest: steps of the longest note.
        tracks: those that new notes may go to.
        held: the notes in the stretch of the other tracks, which stay: (step, pitch, length), as tokens write them.
        busy: (pitch, from, until) steps at which they sound, where no new note of that pitch does.
    """

    representation: BarsRepresentation
    piece: NoteSequence
    inside: Mask
    before: Ints
    behind: Ints
    lines: tuple[int, ...]
    metres: tuple[int | None, ...]
    origin: Fraction
    free: Ints
    until: Ints
    allowed: Mask
    longest: int
    tracks: tuple[int, ...]
    held: tuple[tuple[int, int, int], ...] = ()
    busy: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(
        cls,
        representation: BarsRepresentation,
        piece: NoteSequence,
        first: int,
        last: int,
        bounds: Bounds | None = None,
        hold: Sequence[int] = (),
    ) -> Stretch:
        """Bars `first` to `last` of a piece, counted from 1 as a notation program does, an upbeat included.

        Args:
            bounds: the tokens and the longest note that may be written; those of the piece may come, too. None: any.
            hold: tracks that keep their notes; the model reads them, and writes the others.
        Raises:
            OptionError: tracks to hold that leave none to write; bars that the piece does not have, all of them, more
                than MOST_FILLED, or bars whose lines tokens cannot write; a piece of which the representation keeps no
                note, or with no room for a note.
        """
        asked = f"--bars {first}-{last}" if last > first else f"--bars {first}"
        ids, spelt = representation.ids, representation.spelt
        stream, aligned = representation.encode(piece), representation.aligned(piece)
        if not len(stream):
            raise OptionError(f"{spelt} keeps none of {len(piece):,} notes; give a piece with pitched notes")
        known = list(bars(aligned))
        if not 1 <= first <= last <= len(known):
            raise OptionError(f"{asked}: the piece has bars 1 to {len(known):,}")
        if last - first + 1 > MOST_FILLED:
            raise OptionError(f"{asked}: at most {MOST_FILLED} bars are filled in at once; give fewer")
        if last - first + 1 == len(known):
            raise OptionError(
                f"{asked} is the whole piece, which leaves nothing to go by; seqaudio generate writes pieces"
            )

        kept = representation.quantise(piece)
        steps = Fraction(representation.steps_per_quarter, aligned.ticks_per_quarter)  # in a tick
        pitched = ~aligned.is_drum
        start = nearest_step(aligned.start_tick, aligned.ticks_per_quarter, representation.steps_per_quarter)
        shift = int(kept.start_tick[0]) - int(start[pitched].min())
        begin, end = known[first - 1].start * steps + shift, known[last - 1].end * steps + shift
        chunks, lines = _bars(stream, representation, ceil(end))
        low, high = (lines.index(int(line)) if line in lines else -MOST_FILLED for line in (begin, end))
        if low < 0 or not low < high <= low + MOST_FILLED:
            raise OptionError(
                f"{asked}: {spelt} cannot write the bar lines there; see the time signatures of `seqaudio info` on it"
            )
        start += shift
        there = pitched & (start >= lines[low]) & (start < lines[high])
        inside = there & ~np.isin(aligned.track, list(hold))
        tracks = tuple(track for track in pitched_tracks(piece) if track not in hold)
        if not tracks:
            raise OptionError("--hold-voices: all tracks with notes are held, which leaves none to write; hold fewer")
        free, until = np.zeros(PITCHES, dtype=np.int64), np.full(PITCHES, int(end))
        outside = np.flatnonzero(pitched & ~there)
        for note in outside.tolist():
            pitch = int(aligned.pitch[note])
            if start[note] < begin:
                free[pitch] = max(free[pitch], ceil(int(aligned.end_tick[note]) * steps) + shift)
            else:
                until[pitch] = min(until[pitch], floor(int(aligned.start_tick[note]) * steps) + shift)
        bounds = bounds or bounds_of(representation, None)
        allowed = bounds.tokens.copy()
        allowed[stream] = True
        made = cls(
            representation,
            piece,
            inside,
            np.concatenate([*chunks[:low], np.zeros(0, dtype=np.int64)]),
            np.concatenate([*chunks[high:], np.zeros(0, dtype=np.int64)]),
            tuple(lines[low : high + 1]),
            tuple(int(chunk[0]) if chunk[0] != ids.bar else None for chunk in chunks[low:high]),
            int(aligned.start_tick[0]) - int(piece.start_tick[0]) + shift / steps,
            free,
            until,
            allowed,
            max(bounds.longest, int((kept.end_tick - kept.start_tick).max())),
            tracks,
            *_held(representation, aligned, there & ~inside, inside, steps, shift, (lines[low], lines[high])),
        )
        if not made.has_room():
            made = replace(made, allowed=np.ones_like(allowed), longest=ids.longest)
        if not made.has_room():
            raise OptionError(f"{asked}: no note can begin there, as all pitches sound")
        return made

    @property
    def marks(self) -> BarMarks:
        """The marks of missing bars."""
        ids = self.representation.ids
        return BarMarks(ids.bar, range(ids.metre, ids.bar), ids.size)

    @property
    def context(self) -> list[int]:
        """The prefix that the model reads: the bars before, the mark of the gap, the bars behind, the mark `<fill>`."""
        marks = self.marks
        return [*self.before.tolist(), marks.gap(len(self.metres)), *self.behind.tolist(), marks.fill]

    @property
    def name(self) -> str:
        return self.representation.name

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of the representation and the marks."""
        return self.representation.tokens + FILL_MARKS

    def grammar(self) -> Grammar:
        """Permits the context, then the bars of the stretch."""
        return FillGrammar(self)

    @property
    def earliest(self) -> int:
        """The first step at which a note may begin: before it an upbeat is silent, and the piece has no ticks."""
        per_tick = Fraction(self.representation.steps_per_quarter, self.piece.ticks_per_quarter)
        return ceil(self.origin * per_tick)

    @property
    def lengths(self) -> Mask:
        """[L] whether a note may be written that lasts 1, 2, .. L steps."""
        ids = self.representation.ids
        held: Mask = self.allowed[ids.length(1) :] & (np.arange(1, ids.longest + 1) <= self.longest)
        return held

    def latest(self) -> Ints:
        """[128] the last step of the last bar at which a note of each pitch may begin; -1 for none."""
        ids = self.representation.ids
        if not self.lengths.any():
            return np.full(PITCHES, -1, dtype=np.int64)
        shortest = int(np.argmax(self.lengths)) + 1
        steps = np.arange(self.lines[-2], self.lines[-1])
        steps = steps[self.allowed[ids.step + steps - self.lines[-2]] & (steps >= self.earliest)]
        fits = (steps[:, None] + shortest <= self.until) & self.allowed[ids.note : ids.length(1)]
        for pitch, begin, end in self.busy:
            fits[(steps + shortest > begin) & (steps < end), pitch] = False
        found: Ints = np.where(fits, steps[:, None], -1).max(axis=0, initial=-1)
        return found

    def has_room(self) -> bool:
        """Whether a note that may be written can begin in the last bar."""
        return bool((self.latest() >= self.free).any())

    def joined(self, middle: Sequence[int]) -> list[int]:
        """The tokens of the whole piece; the first note behind the stretch is told its velocity where it needs one."""
        ids, behind = self.representation.ids, self.behind
        written = np.concatenate([self.before, np.asarray(middle, dtype=np.int64)])
        told = np.flatnonzero((behind >= ids.velocity) & (behind < ids.length(1)))  # velocities and notes
        if not len(told):
            return [*written.tolist(), *behind.tolist()]
        place, stream = int(told[0]), self.representation.encode(self.piece)
        rest = behind[place + (behind[place] < ids.note) :]
        until = len(stream) - len(rest)
        wanted, last = _last_velocity(stream[:until], ids), _last_velocity(written, ids)
        velocity = [wanted] if wanted is not None and wanted != last else []
        return [*written.tolist(), *behind[:place].tolist(), *velocity, *rest.tolist()]

    def filled(self, middle: Sequence[int]) -> NoteSequence:
        """The piece with the notes of a stream in the stretch. Its other notes, drums in the stretch too, stay.

        New notes go to the track whose pitches are nearest, of those that are not held. Where the ticks of the piece do
        not hold the steps of the representation, all ticks are multiplied.

        Raises:
            ValueError: a stream that the grammar does not permit.
            OptionError: a piece with so many ticks a quarter that none can be added.
        """
        representation, piece = self.representation, self.piece
        new = representation.decode(self.joined(middle))
        held = {(step, pitch) for step, pitch, _ in self.held}
        begun = zip(new.start_tick.tolist(), new.pitch.tolist(), strict=True)
        free = np.array([one not in held for one in begun], dtype=np.bool_)
        new = new.select(free & (new.start_tick >= self.lines[0]) & (new.start_tick < self.lines[-1]))
        steps = representation.steps_per_quarter
        times = steps // gcd(piece.ticks_per_quarter, steps)
        piece = _finer(piece, times)
        scale = piece.ticks_per_quarter // steps
        origin = int(self.origin * times)
        track, program = _tracks(piece, new.pitch, self.tracks)
        kept = piece.select(~self.inside)
        columns = (
            (kept.start_tick, new.start_tick * scale - origin),
            (kept.end_tick, new.end_tick * scale - origin),
            (kept.pitch, new.pitch),
            (kept.velocity, new.velocity),
            (kept.program, program),
            (kept.track, track),
            (kept.is_drum, np.zeros(len(new), dtype=np.bool_)),
        )
        return NoteSequence.from_columns(
            *(np.concatenate(pair) for pair in columns),
            ticks_per_quarter=piece.ticks_per_quarter,
            tempos=zip(piece.tempo_tick.tolist(), piece.tempo.tolist(), strict=True),
            time_signatures=piece.time_signatures,
            key_signatures=piece.key_signatures,
            track_names=piece.track_names,
            remarks=piece.remarks,
            pedals=piece.pedals,
        )


class FillGrammar(Grammar):
    """Permits the context of a stretch, then streams that fill it: so many bars, in which at least one note begins.

    A new note ends where the piece goes on, and does not begin while its pitch sounds. Notes that are held come where
    they stand, with their lengths; at their steps new ones come around them. Where nothing comes behind the
    stretch, a note begins in its last bar, so that tokens can write that bar.
    """

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._ids: BarsIds = stretch.representation.ids
        self._size = len(stretch.tokens)
        self._inner = BarsGrammar(self._ids)
        for token in stretch.before.tolist():
            self._inner.push(token)
        self._context = list(reversed(stretch.context))  # what is still to come of it
        self._bar = 0  # bars of the stretch that are begun
        self._last = -1  # the last token of the stretch
        self._now, self._pitch = 0, -1
        self._free = stretch.free.copy()
        self._held = list(reversed(stretch.held))  # those that are still to come
        # whether a note has begun in the stretch, and in its last bar, or certainly will
        self._any = bool(self._held)
        self._in_last = self._held_in_last = any(step >= stretch.lines[-2] for step, *_ in stretch.held)
        self._lengths, self._latest = stretch.lengths, stretch.latest()
        self._shortest = int(np.argmax(self._lengths)) + 1
        self._notes = stretch.allowed[self._ids.note : self._ids.length(1)]
        self._earliest, self._count = stretch.earliest, len(stretch.metres)

    def legal(self, room: int | None = None) -> Mask:
        """[V] of the tokens and marks. Raises ValueError for a `room`: bars are filled in without one."""
        if room is not None:
            raise ValueError("a stretch of bars is filled in without a limit of tokens; leave out max_events")
        legal = np.zeros(self._size, dtype=np.bool_)
        if self._context:
            legal[self._context[-1]] = True
            return legal
        if self._last != EOS:
            legal[: self._ids.size] = self._within() & self._inner.legal()
            legal[EOS] = self._may_end()
        return legal

    def _may_end(self) -> bool:
        written = self._last == self._ids.bar or self._last >= self._ids.length(1)
        return written and self._bar == self._count and not self._held and self._has_begun

    @property
    def _has_begun(self) -> bool:
        return self._in_last if self._is_end else self._any

    @property
    def _is_held(self) -> bool:
        """Whether the next note that is held begins at this step."""
        return bool(self._held) and self._held[-1][0] == self._now

    @property
    def _is_end(self) -> bool:
        """Whether nothing comes behind the stretch."""
        return not len(self._stretch.behind)

    def _within(self) -> Mask:
        ids, stretch, last = self._ids, self._stretch, self._last
        within = np.zeros(ids.size, dtype=np.bool_)
        if ids.note <= last < ids.length(1):
            if self._is_held and self._pitch == self._held[-1][1]:
                within[ids.length(self._held[-1][2])] = True
                return within
            most = self._most(self._now)[self._pitch] - self._now
            within[ids.length(1) :] = self._lengths & (np.arange(1, ids.longest + 1) <= most)
            return within
        free_to_go = last < 0 or ids.length(1) <= last or last <= ids.bar  # not between a step and a length
        due = self._held[-1][0] if self._held else stretch.lines[-1]  # nothing may come behind it before it has
        if free_to_go and self._bar < self._count and due >= stretch.lines[self._bar]:
            metre = stretch.metres[self._bar]
            within[ids.bar if metre is None or last == metre else metre] = True
        if last == ids.bar or last >= ids.length(1):
            begin, end = stretch.lines[self._bar - 1], stretch.lines[self._bar]
            for step in range(begin if last == ids.bar else self._now + 1, min(end, due + 1)):
                token = ids.step + step - begin
                within[token] = step == due or (stretch.allowed[token] and self._can(step).any())
        if last >= ids.step:
            can = self._can(self._now)
            can[: self._pitch + 1] = False
            if self._is_held:
                can[self._held[-1][1]] = True
                can[self._held[-1][1] + 1 :] = False
            within[ids.note : ids.length(1)] = can
            within[ids.velocity : ids.note] = stretch.allowed[ids.velocity : ids.note] & can.any()
        return within

    def _can(self, step: int) -> Mask:
        """[128] the pitches that may begin at a step."""
        if step < self._earliest:
            return np.zeros(PITCHES, dtype=np.bool_)
        can: Mask = self._notes & (self._free <= step) & (step + self._shortest <= self._most(step))
        for pitch, begin, end in self._stretch.busy:
            can[pitch] &= not begin <= step < end
        return can

    def _most(self, step: int) -> Ints:
        """[128] the step at which a note of each pitch that begins at a step must have ended."""
        most = self._room()
        for pitch, begin, _ in self._stretch.busy:
            if begin > step and begin < most[pitch]:
                most = most.copy()
                most[pitch] = begin
        return most

    def _room(self) -> Ints:
        """[128] the same, as far as it depends on what is behind the stretch alone."""
        stretch = self._stretch
        if not self._is_end or self._bar == self._count or self._held_in_last:
            return stretch.until
        # room is left for a note in the last bar: of another pitch, or else of this one
        fits = self._latest >= self._free
        others = np.count_nonzero(fits) - fits > 0
        return np.where(others, stretch.until, np.minimum(stretch.until, self._latest))

    def push(self, token: int) -> None:
        if not 0 <= token < self._size or not self.legal()[token]:
            raise ValueError("the stretch that is filled in, or what is around it, does not permit it")
        if self._context:
            self._context.pop()
            return
        ids, stretch = self._ids, self._stretch
        self._last = token
        if token == EOS:
            return
        self._inner.push(token)
        if token == ids.bar:
            self._bar += 1
            self._pitch = -1
        elif ids.step <= token < ids.velocity:
            self._now, self._pitch = stretch.lines[self._bar - 1] + token - ids.step, -1
        elif ids.note <= token < ids.length(1):
            self._pitch = token - ids.note
        elif token >= ids.length(1):
            if self._is_held and self._pitch == self._held[-1][1]:
                self._held.pop()
            else:
                self._free[self._pitch] = self._now + token - ids.length(0)
            self._any = True
            self._in_last |= self._bar == self._count

    def shortest_end(self) -> int:
        """Fewest tokens to the end: what is left of the context, the bars, and a note where one must come."""
        if self._last == EOS:
            return 0
        ids, last = self._ids, self._last
        left = self._stretch.metres[self._bar :]
        signs = sum(metre is not None for metre in left) - (ids.metre <= last < ids.bar)
        begun = ids.step <= last < ids.length(1)
        must = not self._has_begun
        inside = 0
        if begun:  # a velocity may be needed before the note
            inside = 1 + (last < ids.note) + (last < ids.velocity and not bool(self._inner.legal()[ids.note :].any()))
            must &= self._is_end and self._bar < self._count
        told = bool(np.any(self._stretch.before >= ids.velocity)) or self._any or begun
        held = 2 * (len(self._held) - (begun and self._is_held))  # the note that is begun may be one of them
        held += len({step for step, *_ in self._held if step > self._now or not self._bar})
        return len(self._context) + len(left) + signs + inside + held + must * (3 + (not told))


def _bars(stream: Ints, representation: BarsRepresentation, end: int) -> tuple[list[Ints], list[int]]:
    """The tokens of each bar, and the steps of the bar lines, one more: at least up to the step `end`."""
    ids = representation.ids
    starts = BarMarks(ids.bar, range(ids.metre, ids.bar), ids.size).starts(stream)
    chunks, lines, steps = np.split(stream, starts[1:]), [0], 0
    for chunk in chunks:
        if chunk[0] != ids.bar:
            steps = ids.bar_steps[int(chunk[0]) - ids.metre]
        lines.append(lines[-1] + steps)
    while lines[-1] < end:  # bars in which no note begins
        chunks.append(np.array([ids.bar], dtype=np.int64))
        lines.append(lines[-1] + steps)
    return chunks, lines


def _last_velocity(stream: Ints, ids: BarsIds) -> int | None:
    """The last token of a velocity in a stream; None where it has none."""
    told = stream[(stream >= ids.velocity) & (stream < ids.note)]
    return int(told[-1]) if len(told) else None


def _finer(piece: NoteSequence, times: int) -> NoteSequence:
    """A piece at so many times its ticks a quarter. Raises OptionError where that is more than MIDI has."""
    if times == 1:
        return piece
    if piece.ticks_per_quarter * times > MAX_RESOLUTION:
        raise OptionError(
            f"{piece.ticks_per_quarter:,} ticks a quarter do not hold the steps of the model; save the piece with 480"
        )
    pedals = piece.pedals * np.array([1, times, times], dtype=np.int64)
    return replace(
        piece.at_ticks(piece.start_tick * times, piece.end_tick * times, pedals),
        ticks_per_quarter=piece.ticks_per_quarter * times,
        tempo_tick=piece.tempo_tick * times,
        time_signatures=tuple(replace(one, tick=one.tick * times) for one in piece.time_signatures),
        key_signatures=tuple(replace(one, tick=one.tick * times) for one in piece.key_signatures),
        controls=piece.controls[:0],
    )


def _tracks(piece: NoteSequence, pitch: npt.NDArray[np.int16], tracks: Sequence[int]) -> tuple[Ints, Ints]:
    """Track and program [N] of new notes: those of the track, among `tracks`, whose median pitch is nearest."""
    pitched = piece.select(~piece.is_drum)
    medians = np.array([np.median(pitched.pitch[pitched.track == track]) for track in tracks])
    programs = np.array([np.bincount(pitched.program[pitched.track == track]).argmax() for track in tracks])
    nearest = np.abs(pitch[:, None] - medians).argmin(axis=1)
    return np.array(tracks)[nearest].astype(np.int64), programs[nearest].astype(np.int64)


def pitched_tracks(piece: NoteSequence) -> tuple[int, ...]:
    """The tracks of a piece that have notes other than drums."""
    return tuple(np.unique(piece.track[~piece.is_drum]).tolist())


def _held(
    representation: BarsRepresentation, aligned: NoteSequence, held: Mask, inside: Mask, steps: Fraction, shift: int,
    span: tuple[int, int],
) -> tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int], ...]]:  # fmt: skip
    """`Stretch.held` and `Stretch.busy` of the notes [N] `held`, where the notes `inside` are taken out."""
    if not held.any():
        return (), ()
    stays = representation.quantise(aligned.select(~inside))
    there = stays.select((stays.start_tick >= span[0]) & (stays.start_tick < span[1]))
    rows = sorted(
        zip(there.start_tick.tolist(), there.pitch.tolist(), (there.end_tick - there.start_tick).tolist(), strict=True)
    )
    busy = [(pitch, step, step + length) for step, pitch, length in rows]
    for note in np.flatnonzero(held).tolist():
        begin, end = int(aligned.start_tick[note]) * steps, int(aligned.end_tick[note]) * steps
        busy.append((int(aligned.pitch[note]), floor(begin) + shift, ceil(end) + shift))
    return tuple(rows), tuple(busy)
