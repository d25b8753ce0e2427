"""All findings of a store, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqaudio.checking.contents import Contents
from seqaudio.checking.finding import Finding, Level

VERDICTS = {
    Level.GOOD: "fit to train on",
    Level.NOTE: "fit to train on",
    Level.WARNING: "can be trained on, with care",
    Level.FAULT: "not fit to train on as it is",
}


@dataclass(frozen=True)
class Report:
    """What `check_store` found. `print` it; `draw_report` draws it."""

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
        """Whether to train on it."""
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
        return "\n".join([*lines, f"  {self.verdict}"])

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
