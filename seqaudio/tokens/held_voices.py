"""Hold voices of a chorale while a model writes the others: the grammar of `chorale`, narrowed to given voices.

held = HeldVoices.of(representation, notes, ("soprano",))
ids = sample(model, held, generator=generator, max_events=held.most_tokens)
representation.decode(ids)          # the soprano of `notes`, note for note, and three new voices
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.sequence import NoteSequence
from seqaudio.registry import did_you_mean
from seqaudio.tokens.chorale import STEP_TOKENS, ChoraleGrammar, ChoraleIds, ChoraleRepresentation, time_signature_of
from seqaudio.tokens.four_voices import VOICES, four_voices
from seqaudio.tokens.representation import Grammar
from seqaudio.tokens.voice import HOLD, voice_of, voice_tokens
from seqaudio.vocabulary import EOS

PERFECT = (0, 7)  # semitones, octaves left out, of intervals that must not follow each other in parallel


@dataclass(frozen=True)
class HeldVoices:
    """A chorale representation in which some voices, the time signature and the number of bars are given.

    Attributes:
        columns: by voice (0: soprano), the token of each step [T] of the whole piece, in full bars.
    """

    representation: ChoraleRepresentation
    columns: dict[int, npt.NDArray[np.int64]]
    signature: int  # index of the time signature
    bars: int
    tokens_of_others: npt.NDArray[np.bool_] | None = None  # [V] those that the other voices may have; None: any
    parallels: bool = False  # allow the other voices to move in parallel fifths and octaves

    @classmethod
    def of(
        cls,
        representation: ChoraleRepresentation,
        notes: NoteSequence,
        voices: Sequence[str],
        tokens_of_others: npt.NDArray[np.bool_] | None = None,
        parallels: bool = False,
    ) -> HeldVoices:
        """The named voices of a piece. All notes of a piece of one track are the one voice that is named.

        Raises:
            OptionError: no voice, all four, an unknown one, or one without notes in the piece.
        """
        names = [voice.lower() for voice in VOICES]
        wanted = sorted({_index(name.strip().lower(), names) for name in voices})
        if not 0 < len(wanted) < len(VOICES):
            raise OptionError(f"{len(wanted)} voices to hold, expected 1 to 3 of {', '.join(names)}")
        notes = representation.aligned(notes)
        pitched = notes.select(~notes.is_drum)
        if len(wanted) == 1 and len(np.unique(pitched.track)) == 1:
            found = {wanted[0]: voice_of(pitched, representation.steps_per_quarter)}
        else:
            parts = dict(enumerate(four_voices(notes, representation.steps_per_quarter)))
            found = {voice: parts[voice] for voice in wanted if voice in parts}
        if missing := [names[voice] for voice in wanted if voice not in found or not len(found[voice].start)]:
            raise OptionError(f"the piece has no {missing[0]} to hold; it has {len(np.unique(pitched.track))} tracks")
        signature = time_signature_of(notes)
        steps = representation.ids.bar_steps[signature]
        bars = -(-max(int(voice.end.max()) for voice in found.values()) // steps)
        columns = {index: voice_tokens(voice, bars * steps) for index, voice in found.items()}
        return cls(representation, columns, signature, bars, tokens_of_others, parallels)

    @property
    def name(self) -> str:
        return self.representation.name

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.representation.tokens

    @property
    def most_tokens(self) -> int:
        """A piece in which every step is written has so many."""
        return 1 + self.bars * (1 + self.representation.ids.bar_steps[self.signature] * STEP_TOKENS)

    def grammar(self) -> Grammar:
        return HeldVoicesGrammar(self)


class HeldVoicesGrammar(Grammar):
    """Permits the streams of ChoraleGrammar whose held voices are those given, in exactly so many bars.

    A step at which a held voice begins or ends a note must be written; at any other a free voice must change. Unless
    `parallels` are allowed, a free voice does not move in the same direction as another one to a fifth or an octave
    from one, if it may have any other note.
    """

    def __init__(self, held: HeldVoices) -> None:
        self._held = held
        self._ids: ChoraleIds = held.representation.ids
        self._inner = ChoraleGrammar(self._ids)
        self._steps = self._ids.bar_steps[held.signature]
        columns = np.stack(list(held.columns.values()))
        before = np.concatenate([np.full((len(columns), 1), self._ids.rest), columns[:, :-1]], axis=1)
        changes = (columns >= self._ids.note) | ((columns == self._ids.rest) & (before != self._ids.rest))
        self._changes = dict(zip(held.columns, changes, strict=True))  # [T] of each held voice
        self._due = np.flatnonzero(changes.any(axis=0))  # rows that must be written
        self._bar, self._row = -1, -1  # of the last bar mark, and of the last step
        self._voice = len(VOICES)
        self._changed = False
        self._sounding = [False] * len(VOICES)
        self._before: list[int | None] = [None] * len(VOICES)  # pitch of each voice before this step, None for a rest
        self._after: list[int | None] = [None] * len(VOICES)  # at this step, as far as it is known

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        ids, legal = self._ids, self._inner.legal(room)
        if self._bar < 0 and legal[ids.time_signature]:
            return _only(legal, ids.time_signature + self._held.signature)
        if self._voice < len(VOICES):
            return self._legal_voice(legal)
        # the next row that must be written bounds what may come now
        due = self._due[self._due > self._row]
        last = int(due[0]) if len(due) else self._held.bars * self._steps - 1
        in_bar = last // self._steps == self._bar
        legal[ids.step + (last % self._steps if in_bar else self._steps - 1) + 1 :] = False
        legal[ids.bar] &= self._bar + 1 < self._held.bars and not (in_bar and len(due) > 0)
        legal[EOS] &= self._bar + 1 == self._held.bars and not len(due)
        return legal

    def _legal_voice(self, legal: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        ids, voice = self._ids, self._voice
        if voice in self._held.columns:
            return _only(legal, int(self._held.columns[voice][self._row]))
        notes = slice(ids.note, ids.time_signature)
        if self._held.tokens_of_others is not None and (legal & self._held.tokens_of_others)[notes].any():
            legal[notes] &= self._held.tokens_of_others[notes]
        if not self._held.parallels:
            self._without_parallels(legal)
        later = range(voice + 1, len(VOICES))
        if not self._changed and not any(one not in self._changes or self._changes[one][self._row] for one in later):
            legal[ids.hold] = False  # the last chance of this step to change
            legal[ids.rest] &= self._sounding[voice]
        return legal

    def _without_parallels(self, legal: npt.NDArray[np.bool_]) -> None:
        """Take the notes from `legal` that move in parallel with a voice whose pitch at this step is known."""
        ids, voice = self._ids, self._voice
        before = self._before[voice]
        if before is None:
            return
        allowed = legal[ids.note : ids.time_signature].copy()
        pitches = np.arange(len(allowed))
        for other, (old, new) in enumerate(zip(self._before, self._after, strict=True)):
            if other == voice or old is None or new is None or new == old or abs(old - before) % 12 not in PERFECT:
                continue
            same_way = np.sign(pitches - before) == np.sign(new - old)
            allowed &= ~(same_way & (np.abs(new - pitches) % 12 == abs(old - before) % 12))
        if allowed.any():
            legal[ids.note : ids.time_signature] = allowed

    def push(self, token: int) -> None:
        if not 0 <= token < self._ids.size or not self.legal()[token]:
            copy.deepcopy(self._inner).push(token)  # raises the reason of the chorale grammar, if it has one
            raise ValueError("the held voices, or their number of bars, do not permit it")
        self._inner.push(token)
        ids = self._ids
        if token == ids.bar:
            self._bar += 1
            self._row = max(self._row, self._bar * self._steps - 1)
        elif token >= ids.step:
            self._row, self._voice, self._changed = self._bar * self._steps + token - ids.step, 0, False
            self._before = list(self._after)
            for voice, column in self._held.columns.items():
                self._after[voice] = self._sounds(voice, int(column[self._row]))
        elif self._voice < len(VOICES):
            self._changed |= token >= ids.note or (token == ids.rest and self._sounding[self._voice])
            self._sounding[self._voice] = token != ids.rest
            self._after[self._voice] = self._sounds(self._voice, token)
            self._voice += 1

    def _sounds(self, voice: int, token: int) -> int | None:
        """The pitch of a voice with this token at this step; None for a rest."""
        return token - self._ids.note if token >= self._ids.note else self._before[voice] if token == HOLD else None

    def shortest_end(self) -> int:
        """Fewest tokens to the end: the bars that are left, and the steps that must be written."""
        left = STEP_TOKENS * int(np.count_nonzero(self._due > self._row)) + self._held.bars - 1 - self._bar
        return left + len(VOICES) - self._voice + (self._bar < 0)


def _index(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise OptionError(f"no voice is called {name!r}; {did_you_mean(name, list(names))}")
    return names.index(name)


def _only(legal: npt.NDArray[np.bool_], token: int) -> npt.NDArray[np.bool_]:
    narrowed = np.zeros_like(legal)
    narrowed[token] = legal[token]
    return narrowed
