"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

SHOWN = 5  # examples that a line of text has room for


class Level(IntEnum):
    """How much a finding matters, from nothing to everything."""

    GOOD = 0  # as it should be
    NOTE = 1  # worth knowing
    WARNING = 2  # results will be worse, or say less, than they seem
    FAULT = 3  # what is trained or measured on this is of no use


@dataclass(frozen=True)
class Finding:
    """One subject, such as "leaks", with a verdict of one sentence and the rows or inputs that show it."""

    subject: str
    level: Level
    verdict: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = ", ".join(self.examples[:SHOWN])
        more = f" and {len(self.examples) - SHOWN:,} more" if len(self.examples) > SHOWN else ""
        return f"{self.level.name.lower():<8} {self.subject:<11} {self.verdict}" + (f": {named}{more}" if named else "")
