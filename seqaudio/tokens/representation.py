"""The interface of representations, and their registry."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from operator import index
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.midi.programs import DRUMS
from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.registry import Registry, did_you_mean
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, SeenTokens
from seqaudio.tokens.grammar import Grammar, refuse_special
from seqaudio.tokens.loss import Loss, Onsets
from seqaudio.tokens.quantising_loss import quantising_loss
from seqaudio.vocabulary import BOS, EOS, SPECIAL_TOKENS

__all__ = [
    "FIRST_ID",
    "REPRESENTATIONS",
    "Grammar",
    "Representation",
    "TokenRepresentation",
    "build_representation",
    "refuse_special",
    "representation_of",
]

NOTE_TOKEN = re.compile(r"(?:\d+:)?(?:note|on|Pitch|NoteOn)_(\d+)")  # the names of tokens that sound a pitch
PROGRAM_TOKEN = re.compile(r"(?:\d+:)?Program_(-?\d+)")  # the names of tokens that write a program, -1 for drums
FIRST_ID = len(SPECIAL_TOKENS)  # PAD, BOS and EOS come before the tokens of a representation


@dataclass(frozen=True)
class Representation(ABC):
    """A translation between notes and the input of a model. Subclasses are frozen dataclasses of their settings.

    decode(encode(quantise(n))) == quantise(n)  and  quantise(quantise(n)) == quantise(n)

    All but the piano roll are TokenRepresentations.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["tokens", "roll"]]  # of a store of encoded pieces
    version: ClassVar[int] = 1  # of its code: raise it whenever it gives other tokens (tests/test_code_versions.py)
    keeps: ClassVar[str] = "one note of a pitch at a time"  # in words that follow "kept 9 of 12 notes:"
    instead: ClassVar[str] = ""  # a representation that keeps what this one leaves out
    encodes_pedals: ClassVar[bool] = False  # if not, preparations do not read `NoteSequence.pedals`

    @property
    def timing(self) -> Literal["beat", "second"]:
        """Which times `quantise` keeps, up to half a step: "beat", those in quarters, or "second", those in seconds."""
        return "beat"

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...] | None:
        """The names of the ids, for a store; None where there are no ids."""

    @abstractmethod
    def quantise(self, notes: NoteSequence) -> NoteSequence:
        """The notes as far as the representation can write them; the rest is dropped, nothing is added."""

    @abstractmethod
    def encode(self, notes: NoteSequence) -> npt.NDArray[Any]:
        """`quantise(notes)` as the input of a model: ids [N] or frames [T, F]."""

    @abstractmethod
    def decode(self, encoded: Any) -> NoteSequence:
        """The inverse of `encode`. Raises ValueError for anything that `encode` cannot give; nothing is repaired."""

    @property
    def spelt(self) -> str:
        """The name as `build_representation` and `--representation` take it, such as `miditok:TSD`."""
        return self.name

    @property
    def writes_programs(self) -> bool:
        """Whether decoded notes have the instruments of the piece, drums among them, instead of one for all notes."""
        return False

    def aligned(self, notes: NoteSequence) -> NoteSequence:
        """The notes at the times that `quantise` rounds: those of an upbeat, for instance, at the end of a full bar."""
        return notes

    def loss(self, notes: NoteSequence, encoded: npt.NDArray[Any] | None = None) -> Loss:
        """Count what `quantise` leaves out, moves and rewrites of a piece. `quantising_loss` counts more, but slower.

        `encoded`: the result of `encode(notes)`, if there is one, since `onsets` is faster than `quantise`.
        """
        seconds = self.timing == "second"
        aligned = self.aligned(notes)
        onsets = None if encoded is None else self.onsets(encoded)
        if onsets is None:
            onsets = Onsets.of(self.quantise(notes), seconds)
        adjustable = getattr(self, "steps_per_quarter", None) == onsets.steps_per_unit
        loss = Loss.of(aligned, onsets, seconds, adjustable)
        cut = self.cut_silence(aligned)
        if not cut.any():
            return loss
        # after a silence that was cut, notes are not at the steps at which Loss expects them
        exact = quantising_loss(self, notes)
        return replace(loss, moved=exact.moved, furthest=exact.furthest, grid=0)

    def onsets(self, encoded: npt.NDArray[Any]) -> Onsets | None:
        """The notes that begin in an encoding, by operations on whole columns; None where `quantise` gives them."""
        return None

    def cut_silence(self, notes: NoteSequence) -> npt.NDArray[np.float64]:
        """[N] quarters of silence that `quantise` removes before each note; 0 where it keeps silences."""
        return np.zeros(len(notes))

    def settings(self) -> dict[str, Any]:
        """The settings as JSON; `build_representation(name, settings)` makes an equal representation."""
        return asdict(self)


@dataclass(frozen=True)
class TokenRepresentation(Representation):
    """Notes as a stream of token ids, with a grammar."""

    kind: ClassVar[Literal["tokens", "roll"]] = "tokens"

    @property
    @abstractmethod
    def event_tokens(self) -> tuple[str, ...]:
        """The tokens after PAD, BOS and EOS, in the order of their ids."""

    @abstractmethod
    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        """Ids [N] of `quantise(notes)`, without BOS and EOS."""

    @abstractmethod
    def grammar(self) -> Grammar:
        """A new grammar, at the beginning of a stream."""

    @property
    def ends_on_bars(self) -> bool:
        """Whether `bounded` can end a piece on a given bar line."""
        return False

    @property
    def keeps_form(self) -> bool:
        """Whether `bounded` can write a bar as it wrote an earlier one."""
        return False

    @property
    def bar_places(self) -> tuple[int, range] | None:
        """The id of the token that begins a bar, and those that say the step in it; None where no token says both."""
        return None

    @property
    def look_back(self) -> tuple[int, ...]:
        """How many bars earlier a model of these tokens looks by default; none where it does not."""
        return ()

    @property
    def fills_bars(self) -> bool:
        """Whether a piece always ends with a whole bar of the time signature that is written."""
        return False

    @property
    def tempo_ids(self) -> range:
        """The ids of the tokens that depend on the tempo of a piece, as they write seconds; empty where none do."""
        return range(0)

    @property
    def metre_ids(self) -> range:
        """The ids of the tokens that write a time signature; empty where none do."""
        return range(0)

    def written_metre(self, metre: TimeSignature) -> tuple[TimeSignature, int] | None:
        """The time signature that tokens write for one, and the id of that token; None where no token writes any."""
        return None

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        """A new grammar within bounds, at the beginning of a stream.

        Where `ends_on_bars` is false it keeps to the tokens that may be sampled, and to nothing else.
        """
        return SeenTokens(self.grammar(), bounds)

    @abstractmethod
    def _notes(self, events: list[int]) -> NoteSequence:
        """The notes of a legal stream, without BOS and EOS."""

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """All tokens as readable strings; the index is the id."""
        return SPECIAL_TOKENS + self.event_tokens

    @cached_property
    def token_pitches(self) -> npt.NDArray[np.int64]:
        """[V] the pitch that each token lets sound, drums excepted; -1 for other tokens.

        By the names of the tokens, such as `note_60`. No note has another pitch than that of one of its tokens. All are
        -1 where tokens write pitches otherwise.
        """
        found = [NOTE_TOKEN.fullmatch(token) for token in self.tokens]
        return np.array([-1 if match is None else int(match[1]) for match in found], dtype=np.int64)

    @cached_property
    def token_programs(self) -> npt.NDArray[np.int64]:
        """[V] the program, or DRUMS, of the notes after each token; -1 for other tokens.

        No note has another program than that of one of its tokens. All are -1 where tokens write none.
        """
        found = [PROGRAM_TOKEN.fullmatch(token) for token in self.tokens]
        written = np.array([-2 if match is None else int(match[1]) for match in found], dtype=np.int64)
        return np.where(written == -1, DRUMS, np.maximum(written, -1))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.tokens

    def decode(self, ids: Iterable[int]) -> NoteSequence:
        """The notes of a complete stream, with or without BOS and EOS. Nothing is repaired.

        Raises:
            ValueError: a token that the grammar does not permit, or a stream that stops too early; the message names
                position, token and reason.
        """
        stream = [index(token) for token in ids]
        begins = stream[:1] == [BOS]
        events = stream[begins:]
        if events[-1:] != [EOS]:
            events.append(EOS)
        grammar = self.grammar()
        for position, token in enumerate(events, start=int(begins)):
            try:
                grammar.push(token)
            except ValueError as error:
                if position == len(stream):
                    raise ValueError(f"the stream stops at position {position}: {error}") from None
                raise ValueError(f"position {position}: {self._token(token)} is illegal: {error}") from None
        return self._notes(events[:-1])

    def _token(self, token: int) -> str:
        return self.tokens[token] if 0 <= token < len(self.tokens) else f"id {token}"


REPRESENTATIONS: Registry[type[Representation]] = Registry("representation")


def build_representation(name: str, settings: dict[str, Any] | None = None) -> Representation:
    """A representation by its name and JSON settings; settings that are not given keep their defaults.

    A value after a colon is that of the first setting: `miditok:TSD` is `miditok` with the tokeniser TSD.

    Raises:
        OptionError: an unknown name or setting, or an invalid value.
    """
    name, colon, first = name.partition(":")
    kind = REPRESENTATIONS[name]
    defaults = {field.name: field.default for field in fields(kind)}
    settings = dict(settings or {})
    if colon:
        settings[next(iter(defaults), "")] = first
    for setting, value in settings.items():
        if setting not in defaults:
            raise OptionError(f"{name} has no setting {setting!r}; {did_you_mean(setting, list(defaults))}")
        expected = type(defaults[setting])
        if type(value) is not expected:
            raise OptionError(f"{name}: {setting} is {value!r}, expected {expected.__name__}")
    return kind(**settings)


def representation_of(settings: dict[str, Any]) -> Representation | None:
    """The representation of a store or a run, from its settings; None where they name none that is registered.

    Raises OptionError for settings that make no sense.
    """
    chosen = settings.get("representation")
    if not isinstance(chosen, dict) or chosen.get("name") not in REPRESENTATIONS:
        return None
    return build_representation(str(chosen["name"]), {name: value for name, value in chosen.items() if name != "name"})
