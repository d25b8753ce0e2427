"""The errors of a recogniser on recordings: counts, intervals, the commonest confusions, the worst recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqaudio.batching.transcribed import Transcribed
from seqaudio.evaluation.edits import Edits, ErrorTable, Pair
from seqaudio.files import write_bytes
from seqaudio.ledger import encode_field
from seqaudio.terminal import visible

COMMONEST = 10  # confusions that are shown
WORST = 5  # recordings that are shown
NOTHING = "-"  # in place of a unit that was inserted or deleted


@dataclass(frozen=True)
class ErrorReport:
    """Alignments of words and of characters; of phones alone where these are the units."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]  # what was said, as the recogniser would write it
    heard: tuple[str, ...]  # what was recognised
    tables: dict[str, ErrorTable]  # by the name of their units, those that are reported in detail first
    unknown: str = ""  # a line about units of the texts that the recogniser does not have

    @classmethod
    def of(cls, recordings: Transcribed, heard: tuple[str, ...]) -> ErrorReport:
        """Align the recognised texts with those of the recordings."""
        references = recordings.references()
        table = ErrorTable.of(references, [text.split() for text in heard])
        if recordings.spelling.settings.units == "phones":
            texts, tables = tuple(map(" ".join, references)), {"phone": table}
        else:
            texts = recordings.texts
            letters = ErrorTable.of(list(map(list, texts)), list(map(list, heard)))
            tables = {"word": table, "character": letters}
        return cls(tuple(recordings.ids), texts, heard, tables, recordings.unknown_units())

    def as_json(self) -> dict[str, Any]:
        """The same as `lines`, for `results.json` and --json."""
        first = next(iter(self.tables.values()))
        counts = first.edits
        return {
            "errors": {
                name: table.total._asdict() | {"interval": table.interval()} for name, table in self.tables.items()
            },
            "confusions": [[*pair, count] for pair, count in first.confusions(COMMONEST)],
            "worst": [
                {"id": self.ids[row], "text": self.texts[row], "heard": self.heard[row], "errors": counts[row].errors}
                for row in first.worst(WORST)
            ],
            "all_right": sum(not edits.errors for edits in counts),
        }

    def lines(self) -> list[str]:
        """A table of the errors, the commonest confusions, and the worst recordings."""
        lines = [
            f"  {'errors of':<11}{'rate':>8}{'interval':>17}{'replaced':>10}{'deleted':>9}{'inserted':>10}{'of':>8}"
        ]
        lines += [_row(name, table) for name, table in self.tables.items()]
        first = next(iter(self.tables.values()))
        counts = first.edits
        right = sum(not edits.errors for edits in counts)
        lines.append(
            f"  {right:,} of {len(counts):,} recordings ({100 * right / max(len(counts), 1):.1f} %) without one: "
            f"sentence errors {100 * (1 - right / max(len(counts), 1)):.2f} %"
        )
        if self.unknown:
            lines.append(f"always errors: {visible(self.unknown)}")
        if found := first.confusions(COMMONEST):
            lines.append("commonest errors: " + ", ".join(f"{_named(pair)} {count:,}" for pair, count in found))
        for row in first.worst(WORST):
            lines.append(f"{visible(self.ids[row])}: {_counted(counts[row])}")
            lines += [f"    said   {visible(self.texts[row])}", f"    heard  {visible(self.heard[row])}"]
        return lines

    def write_texts(self, path: Path) -> None:
        """Write a table with a row for each recording: id, errors, units, what was said, what was recognised."""
        counts = next(iter(self.tables.values())).edits
        rows = ["id\terrors\tunits\ttext\theard"]
        for name, edits, text, heard in zip(self.ids, counts, self.texts, self.heard, strict=True):
            rows.append(f"{encode_field(name)}\t{edits.errors}\t{edits.units}\t{text}\t{heard}")
        write_bytes(path, ("\n".join(rows) + "\n").encode())


def _row(name: str, table: ErrorTable) -> str:
    total, interval = table.total, table.interval()
    between = "" if interval is None else f"{100 * max(0.0, interval[0]):.2f} .. {100 * interval[1]:.2f}"
    return (
        f"  {name + 's':<11}{100 * table.rate:>6.2f} %{between:>17}{total.substitutions:>10,}{total.deletions:>9,}"
        f"{total.insertions:>10,}{total.units:>8,}"
    )


def _named(pair: Pair) -> str:
    """An edit, such as `FIVE > NINE`, or `A > -` for a unit that was not heard."""
    given, heard = (NOTHING if unit is None else visible(unit) for unit in pair)
    return f"{given} > {heard}"


def _counted(edits: Edits) -> str:
    return f"{edits.errors:,} error{'' if edits.errors == 1 else 's'} in {edits.units:,}"
