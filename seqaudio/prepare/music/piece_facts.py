"""Facts about a piece besides its notes, stored in the column `text`, since most of them are not in the tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqaudio.notes.keys import key_name
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.music.oddities import unmarked_drums
from seqaudio.tokens.loss import Loss
from seqaudio.tokens.repertoire import Repertoire, Shape

VERSION = 2  # of the facts: raised whenever they become others, so that no store mixes both

_JSON = json.JSONEncoder(separators=(",", ":"))  # json.dumps would make one for every piece
_STORED_NAMES = {"time_signatures": "metres"}  # names in stores, where they differ from those here
_LATER = ("unmarked_drums", "loss", "shape")  # fields that older stores lack


@dataclass(frozen=True)
class PieceFacts:
    """Facts that are cheap to compute. The names of the fields are keys of the JSON in stores."""

    notes: int  # percussion included
    time_signatures: tuple[str, ...]  # such as 6/8, each once, in the order of the piece; empty where the file has none
    keys: tuple[str, ...]  # such as G major, likewise
    slowest: float  # quarters a minute
    fastest: float
    programs: tuple[int, ...]  # General MIDI programs counted from 0, sorted, without percussion
    percussion: bool
    unmarked_drums: tuple[str, ...] = ()  # names of tracks that are named like drums, though their notes are pitched
    loss: Loss | None = None  # what the representation left out, moved and rewrote; None for nothing
    shape: Shape | None = None  # of the notes that the representation kept; None in older stores

    @classmethod
    def of(cls, notes: NoteSequence, loss: Loss | None = None, shape: Shape | None = None) -> PieceFacts:
        """The facts about one piece, what its representation lost, and the shape of what it kept."""
        percussion = bool(notes.is_drum.any())
        programs = notes.program[~notes.is_drum] if percussion else notes.program

        return cls(
            notes=len(notes),
            time_signatures=tuple(dict.fromkeys(signature.name for signature in notes.time_signatures)),
            keys=tuple(dict.fromkeys(map(key_name, notes.key_signatures))),
            slowest=round(60e6 / int(notes.tempo.max()), 3),
            fastest=round(60e6 / int(notes.tempo.min()), 3),
            programs=tuple(np.flatnonzero(np.bincount(programs)).tolist()),
            percussion=percussion,
            unmarked_drums=unmarked_drums(notes),
            loss=loss or None,
            shape=shape,
        )

    def to_text(self) -> str:
        """As JSON on one line; fields that older stores lack are left out where they are empty."""
        data = {_STORED_NAMES.get(name, name): value for name, value in vars(self).items() if name not in _LATER}
        if self.unmarked_drums:
            data["unmarked_drums"] = self.unmarked_drums
        if self.loss is not None:
            data["loss"] = {name: value for name, value in vars(self.loss).items() if value}
        if self.shape is not None:
            data["shape"] = vars(self.shape)
        return _JSON.encode(data)

    @classmethod
    def from_text(cls, text: str) -> PieceFacts | None:
        """The inverse of `to_text`; None for any other text, as in a store without facts."""
        try:
            data: Any = json.loads(text)
            for name, stored in _STORED_NAMES.items():
                data[name] = data.pop(stored)
            for name in ("time_signatures", "keys", "programs", "unmarked_drums"):
                data[name] = tuple(data.get(name, ()))
            if "loss" in data:
                data["loss"] = Loss(**data["loss"])
            if "shape" in data:
                data["shape"] = Shape(**data["shape"])
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def repertoire_of(texts: Sequence[str], tokens: Iterable[int]) -> dict[str, Any]:
    """The settings of a store that its training pieces give: the Repertoire of their facts; none without facts.

    texts: the facts of each training row, as `to_text` gives them. tokens: the ids that occur in these rows.
    """
    facts = map(PieceFacts.from_text, texts)
    shapes = [piece.shape for piece in facts if piece is not None and piece.shape is not None]
    found = Repertoire.of(shapes, tokens)
    return {} if found is None else {"repertoire": found.to_json()}
