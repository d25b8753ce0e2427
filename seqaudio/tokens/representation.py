"""What every way of writing notes down for a model offers, and the registry of those ways."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from operator import index
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.sequence import NoteSequence
from seqaudio.registry import Registry, did_you_mean
from seqaudio.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS

FIRST_ID = len(SPECIAL_TOKENS)  # PAD, BOS and EOS come before the tokens of a representation


class Grammar(ABC):
    """What may follow what, one token at a time. Only streams that `encode` can give are legal.

    Begins behind BOS. PAD and BOS are never legal, and nothing is after EOS.
    """

    @abstractmethod
    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        """[V] the tokens that may come next.

        Args:
            room: how many tokens may still come before EOS. Given that, only those tokens are legal after which the
                stream can still come to its end within it.
        """

    @abstractmethod
    def push(self, token: int) -> None:
        """Take one token. Raises ValueError with the reason, and stays as it was, where it is illegal."""

    @abstractmethod
    def shortest_end(self) -> int:
        """How many tokens must come, at least, before EOS is legal; 0 where it is legal now."""


@dataclass(frozen=True)
class Representation(ABC):
    """A two-way translation between notes and what a model reads. Subclasses are frozen dataclasses of their settings.

    decode(encode(quantise(n))) == quantise(n)  and  quantise(quantise(n)) == quantise(n)

    Nearly all are TokenRepresentations; a roll of keys is not.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["tokens", "roll"]]  # of the store that holds what is encoded
    says_pedals: ClassVar[bool] = False  # a preparation reads `NoteSequence.pedals` for those that do

    @property
    def timing(self) -> Literal["beat", "second"]:
        """What `quantise` leaves in its place as well as steps can: beats in quarters, or times in seconds."""
        return "beat"

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...] | None:
        """The names of the ids for a store; None where there are no ids."""

    @abstractmethod
    def quantise(self, notes: NoteSequence) -> NoteSequence:
        """What of the notes can be said; the rest is dropped, nothing is invented."""

    @abstractmethod
    def encode(self, notes: NoteSequence) -> npt.NDArray[Any]:
        """`quantise(notes)` for a model: ids [N] or frames [T, F]."""

    @abstractmethod
    def decode(self, encoded: Any) -> NoteSequence:
        """The notes of what was encoded. Raises ValueError for what `encode` never gives; nothing is repaired."""

    def earlier(self, notes: NoteSequence) -> npt.NDArray[np.float64]:
        """[N] by how many quarters `quantise` lets each note come earlier, since it cuts silences; 0 unless it does."""
        return np.zeros(len(notes))

    def settings(self) -> dict[str, Any]:
        """The settings as JSON; `build_representation(name, settings)` makes an equal representation."""
        return asdict(self)


@dataclass(frozen=True)
class TokenRepresentation(Representation):
    """Notes as a stream of token ids behind a grammar."""

    kind: ClassVar[Literal["tokens", "roll"]] = "tokens"

    @property
    @abstractmethod
    def event_tokens(self) -> tuple[str, ...]:
        """The tokens behind PAD, BOS and EOS, in the order of their ids."""

    @abstractmethod
    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        """Ids [N] of `quantise(notes)`, without BOS and EOS."""

    @abstractmethod
    def grammar(self) -> Grammar:
        """A grammar at the beginning of a stream."""

    @abstractmethod
    def _notes(self, events: list[int]) -> NoteSequence:
        """The notes of legal events."""

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token as a readable string; the id is its place."""
        return SPECIAL_TOKENS + self.event_tokens

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.tokens

    def decode(self, ids: Iterable[int]) -> NoteSequence:
        """The notes of a whole stream, with or without BOS before and EOS behind. Nothing is repaired.

        Raises:
            ValueError: a token that the grammar does not permit, or a stream that stops too early; the position,
                the token and the reason are in the message.
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
    """A representation by name, from JSON settings; those not given keep their defaults.

    What stands behind a colon is the value of the first setting: `miditok:TSD` is `miditok` with the tokeniser TSD.

    Raises:
        OptionError: an unknown name or setting, or a value that makes no sense.
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


def refuse_special(token: int, size: int) -> None:
    """What every grammar says of PAD, BOS and of ids outside its vocabulary: ValueError."""
    if not 0 <= token < size:
        raise ValueError(f"ids are in 0..{size - 1}")
    if token in (PAD, BOS):
        raise ValueError(f"{SPECIAL_TOKENS[token]} stands outside the stream")
