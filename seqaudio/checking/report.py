"""Findings of a store, and the report that sums them up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from seqaudio.checking.contents import Contents
from seqaudio.terminal import few, visible

SHOWN = 5  # examples in a line of text


class Level(IntEnum):
    """The severity of a finding."""

    GOOD = 0  # as it should be
    NOTE = 1  # worth knowing
    WARNING = 2  # results will be worse, or less meaningful, than they seem
    FAULT = 3  # training or measuring on this store is useless


def counted(number: int, one: str, many: str = "") -> str:
    """A number and a noun in its singular or plural (by default with an s), such as `1 row`, `1,200 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@dataclass(frozen=True)
class Finding:
    """One subject, such as "leaks", with a verdict of one sentence and the rows or inputs that show it."""

    subject: str
    level: Level
    verdict: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = few(self.examples, SHOWN)
        return f"{self.level.name.lower():<8} {self.subject:<15} {self.verdict}" + (f": {named}" if named else "")


VERDICTS = {
    Level.GOOD: "fit to train on",
    Level.NOTE: "fit to train on",
    Level.WARNING: "can be trained on, with care",
    Level.FAULT: "not fit to train on as it is",
}


@dataclass(frozen=True)
class Report:
    """The findings of `check_store`. `print` shows it in words, `draw_report` as a figure."""

    contents: Contents
    findings: tuple[Finding, ...]

    @property
    def name(self) -> str:
        """The store's folder."""
        return self.contents.store.path.absolute().name

    @property
    def level(self) -> Level:
        """Of the worst finding."""
        return max((finding.level for finding in self.findings), default=Level.GOOD)

    @property
    def verdict(self) -> str:
        """Whether the store is fit to train on, in words."""
        parts = [
            f"{count:,} {level.name.lower()}{'s' if count > 1 else ''}"
            for level in (Level.FAULT, Level.WARNING)
            if (count := sum(finding.level is level for finding in self.findings))
        ]
        return VERDICTS[self.level] + (f": {', '.join(parts)}" if parts else "")

    def __str__(self) -> str:
        sizes = ", ".join(
            f"{split} {len(rows):,} rows ({rows.seconds.sum() / 60:,.1f} min)"
            for split, rows in self.contents.splits.items()
        )
        lines = [f"{self.contents.store.path}: store of {self.contents.store.kind}, {sizes}"]
        # what matters most comes first
        lines += [f"  {finding}" for finding in sorted(self.findings, key=lambda finding: -finding.level)]
        return "\n".join(map(visible, [*lines, f"  {self.verdict}"]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with every example."""
        return {
            "store": self.name,
            "fingerprint": self.contents.store.fingerprint,
            "verdict": self.verdict,
            "level": self.level.name.lower(),
            "findings": [
                {
                    "subject": finding.subject,
                    "level": finding.level.name.lower(),
                    "verdict": finding.verdict,
                    "examples": list(finding.examples),
                }
                for finding in self.findings
            ],
        }
