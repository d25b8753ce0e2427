"""Score a piece under a model of events: how surprising each token, each moment and the whole piece is.

    nats_t = -log p(x_t | x_1 .. x_{t-1})        of every token and of the end, as in `nats_per_event` of an evaluation

The tokens of a moment, an onset time of the piece, are those that `encode` adds once the notes that begin then are
known: the stream of all notes before, and that of the notes up to there, are equal up to the first token of the moment.
So a wait before a note counts with the note, and this holds for every representation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from seqaudio.errors import OptionError
from seqaudio.models.events import EventModel
from seqaudio.notes.bars import bars
from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import NoteSequence
from seqaudio.rendering.piano_roll import Lines
from seqaudio.tokens.loss import Loss
from seqaudio.tokens.representation import TokenRepresentation
from seqaudio.vocabulary import BOS, EOS

MAX_MOMENTS = 1_500  # of a longer piece, several onsets count together: each moment costs an encoding of the piece

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """An onset time of a piece."""

    quarter: float  # from the beginning; of a representation that keeps seconds, in the tempo of the piece
    bar: int  # counted from 1
    notes: int  # that begin
    tokens: int
    nats: float


@dataclass(frozen=True)
class Surprise:
    """A piece as a model hears it."""

    notes: NoteSequence  # what the representation keeps of the piece
    shown: NoteSequence  # the same at ticks with bars, for pictures
    nats: Floats  # [N + 1] of each token and of the end
    onsets: Ints  # [E] rising ticks of `notes`, one for each moment
    ticks: Ints  # [E] the same in `shown`
    borders: Ints  # [E + 1] places in the stream: moment e has the tokens borders[e] .. borders[e + 1] - 1
    lost: Loss

    @property
    def total(self) -> float:
        """Nats of the whole piece, its end included."""
        return float(self.nats.sum())

    @property
    def per_event(self) -> float:
        """Nats a token, the end counted as one."""
        return self.total / len(self.nats)

    @property
    def per_note(self) -> float:
        """Nats of the whole piece for each note."""
        return self.total / len(self.notes)

    @cached_property
    def by_moment(self) -> Floats:
        """Nats [E] of each moment; those of the end are in none."""
        sums = np.concatenate([np.zeros(1), np.cumsum(self.nats)])
        found: Floats = sums[self.borders[1:]] - sums[self.borders[:-1]]
        return found

    @property
    def moments(self) -> list[Moment]:
        """All moments, in order."""
        starts = np.array([float(bar.start) for bar in bars(self.shown)])
        begun = np.append(np.searchsorted(self.notes.start_tick, self.onsets), len(self.notes))
        numbers = np.searchsorted(starts, self.ticks, side="right")
        columns = (
            self.ticks / self.shown.ticks_per_quarter, numbers, np.diff(begun), np.diff(self.borders), self.by_moment,
        )  # fmt: skip
        return [Moment(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    @property
    def lines(self) -> Lines:
        """The surprise of each moment, for a piano roll of `shown`."""
        return Lines(self.ticks, self.by_moment, "nats")


def surprise(model: EventModel, representation: TokenRepresentation, notes: NoteSequence) -> Surprise:
    """Score a piece.

    Args:
        model: of the representation's tokens; it is put into evaluation mode.

    Raises:
        OptionError: the representation keeps no note of the piece, or the model has another vocabulary.
    """
    if model.vocabulary_size != len(representation.tokens):
        raise OptionError(
            f"a model of {model.vocabulary_size:,} tokens, {representation.name} has {len(representation.tokens):,}"
        )
    ids = representation.encode(notes)
    kept = representation.quantise(notes)
    if not len(ids) or not len(kept):
        raise OptionError(
            f"{representation.spelt} keeps none of {len(notes):,} notes: it holds {representation.keeps}"
            + (f"; a run trained on {representation.instead} would" if representation.instead else "")
        )
    onsets = np.unique(kept.start_tick)
    onsets = onsets[:: -(-len(onsets) // MAX_MOMENTS)]
    shown, ticks = _shown(representation, notes, kept, onsets)
    return Surprise(
        kept, shown, token_nats(model, ids), onsets, ticks, _borders(representation, kept, ids, onsets),
        representation.loss(notes, ids),
    )  # fmt: skip


@torch.no_grad()
def token_nats(model: EventModel, ids: npt.NDArray[np.int64]) -> Floats:
    """-log p in nats, [N + 1], of each of N tokens and of the end behind them. Puts the model into evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    stream = torch.from_numpy(np.concatenate([[BOS], ids, [EOS]]).astype(np.int64)).to(device)
    logits, _ = model(stream[:-1, None])
    nats: Floats = F.cross_entropy(logits[:, 0].double(), stream[1:], reduction="none").cpu().numpy()
    return nats


def _borders(representation: TokenRepresentation, kept: NoteSequence, ids: Ints, onsets: Ints) -> Ints:
    """[E + 1] where the tokens of each moment begin; the last border is the end of the stream."""
    borders = [0]
    for onset in onsets[1:].tolist():
        before = representation.encode(kept.select(kept.start_tick < onset))[: len(ids)]
        differs = np.flatnonzero(before != ids[: len(before)])
        borders.append(int(differs[0]) if len(differs) else len(before))
    return np.maximum.accumulate(np.array([*borders, len(ids)], dtype=np.int64))


def _shown(
    representation: TokenRepresentation, notes: NoteSequence, kept: NoteSequence, onsets: Ints
) -> tuple[NoteSequence, Ints]:
    """Notes for a picture with bars, and the ticks [E] of the moments among them.

    Those that are kept, unless the representation keeps seconds, whose ticks know no bars: then the notes of the piece.
    """
    aligned = representation.aligned(notes)
    if representation.timing == "second":
        ticks, first = np.unique(aligned.start_tick, return_index=True)
        return aligned, np.rint(np.interp(kept.seconds(onsets), aligned.start[first], ticks)).astype(np.int64)
    if kept.time_signatures or not aligned.time_signatures:
        return kept, onsets
    given = aligned.time_signatures
    steps = nearest_step(np.array([one.tick for one in given]), aligned.ticks_per_quarter, kept.ticks_per_quarter)
    moved = tuple(replace(one, tick=step) for one, step in zip(given, steps.tolist(), strict=True))
    return replace(kept, time_signatures=moved), onsets
