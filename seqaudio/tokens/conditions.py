"""Conditions of a piece that a model of music is told: key, tempo, metre and density, each as a number, 0 for unknown.

traits of training pieces ─> Conditions.of ─> config.json of the run ─> values of a piece in training, of a wish later
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_args

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.notes.keys import estimate_key
from seqaudio.notes.sequence import KeySignature, NoteSequence
from seqaudio.tokens.repertoire import UNKNOWN, metre_named
from seqaudio.vocabulary import ConditionName, Level

LEVELS: tuple[Level, ...] = get_args(Level)
KEYS = 24  # major keys from C upwards, then minor ones
MOST_METRES = 16  # rarer ones are unknown


class Traits(NamedTuple):
    """The properties of a piece from which conditions are made; None or UNKNOWN for one that is not known."""

    key: KeySignature | None = None
    tempo: int = UNKNOWN  # microseconds per quarter
    metre: str | None = None  # such as 6/8
    density: float | None = None  # notes a quarter

    @classmethod
    def of(cls, notes: NoteSequence, tempo: int = UNKNOWN, metre: str | None = None) -> Traits:
        """The traits of the notes that a representation keeps: the key is estimated, the density measured."""
        return cls(estimate_key(notes), tempo, metre, density_of(notes))


def density_of(notes: NoteSequence) -> float | None:
    """Notes a quarter, up to the end of the last one; None without notes."""
    return len(notes) * notes.ticks_per_quarter / notes.last_tick if len(notes) else None


@dataclass(frozen=True)
class Conditions:
    """The values of each condition among the training pieces. Raises ValueError for those that no training can have.

    Attributes:
        names: in the order in which a model is told them.
        tempo: borders of low, medium and high, quarters a minute: the terciles of training pieces; empty without any.
        metre: names, that of most training pieces first.
        density: borders of low, medium and high, notes a quarter, likewise.
    """

    names: tuple[ConditionName, ...]
    tempo: tuple[float, ...] = ()
    metre: tuple[str, ...] = ()
    density: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"conditions {list(self.names)}, expected different ones")
        for name, borders in (("tempo", self.tempo), ("density", self.density)):
            if (
                len(borders) not in (0, len(LEVELS) - 1)
                or list(borders) != sorted(borders)
                or min(borders, default=0) < 0
            ):
                raise ValueError(f"conditions: {name} has the borders {list(borders)}, expected two that rise")
        if len(self.metre) > MOST_METRES:
            raise ValueError(f"conditions: {len(self.metre)} metres, expected at most {MOST_METRES}")
        for name in self.metre:
            try:
                metre_named(name)
            except OptionError as error:
                raise ValueError(f"conditions: {error}") from None

    @classmethod
    def of(cls, names: Sequence[ConditionName], pieces: Sequence[Traits]) -> Conditions:
        """The conditions of training pieces. Raises ValueError for a name that comes twice."""
        tempos = [60e6 / piece.tempo for piece in pieces if piece.tempo != UNKNOWN]
        densities = [piece.density for piece in pieces if piece.density is not None]
        metres = Counter(piece.metre for piece in pieces if piece.metre is not None)
        common = sorted(metres, key=lambda name: (-metres[name], name))[:MOST_METRES]
        return cls(tuple(names), _terciles(tempos), tuple(common), _terciles(densities))

    def to_json(self) -> dict[str, Any]:
        """As a run keeps it."""
        return {name: list(value) for name, value in asdict(self).items()}

    @property
    def sizes(self) -> list[int]:
        """The number of values of each condition, unknown included."""
        sizes = {"key": KEYS, "tempo": len(LEVELS), "metre": len(self.metre), "density": len(LEVELS)}
        return [1 + sizes[name] for name in self.names]

    def values(self, traits: Traits, density: Level | None = None) -> list[int]:
        """[C] the value of each condition. density: as it is asked for; by default as the traits have it."""
        found = {
            "key": 0 if traits.key is None else 1 + _key_number(traits.key),
            "tempo": 0 if traits.tempo == UNKNOWN else _level(60e6 / traits.tempo, self.tempo),
            "metre": 1 + self.metre.index(traits.metre) if traits.metre in self.metre else 0,
            "density": _level(traits.density, self.density) if density is None else 1 + LEVELS.index(density),
        }
        return [found[name] for name in self.names]

    def density_level(self, density: float) -> Level | None:
        """The level of so many notes a quarter; None where the training pieces give no borders."""
        level = _level(density, self.density)
        return LEVELS[level - 1] if level else None

    def describe(self) -> str:
        """The conditions in one line."""
        parts = {
            "key": "key",
            "tempo": _borders("tempo", self.tempo, "quarters a minute"),
            "metre": f"metre ({', '.join(self.metre) or 'none is known'})",
            "density": _borders("density", self.density, "notes a quarter"),
        }
        return f"conditions: {', '.join(parts[name] for name in self.names)}"


def _key_number(key: KeySignature) -> int:
    tonic = (key.sharps * 7 + (9 if key.minor else 0)) % 12  # A minor has the signature of C major
    return tonic + 12 * key.minor


def _terciles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(border) for border in np.quantile(values, [1 / 3, 2 / 3])) if values else ()


def _level(value: float | None, borders: Sequence[float]) -> int:
    """1 for low, 2 for medium, 3 for high; 0 where the value or the borders are not known."""
    return 1 + int(np.searchsorted(borders, value)) if borders and value is not None else 0


def _borders(name: str, borders: Sequence[float], unit: str) -> str:
    if not borders:
        return f"{name} (not known)"
    return f"{name} (low up to {borders[0]:.4g}, high above {borders[1]:.4g} {unit})"
