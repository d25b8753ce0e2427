"""The published sizes of a corpus, beside what was prepared of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from seqaudio.store import Store


def expect_counts(store: Store, expected: Mapping[str, int], limit: int | None) -> None:
    """Warn on stderr where splits have other numbers of rows than those of the whole corpus; not in a trial."""
    found = {split: count.rows for split, count in store.counts.items() if count.rows}
    if limit is None and found != dict(expected):
        print(f"warning: {_told(found)}; the whole corpus has {_told(expected)}", file=sys.stderr)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())
