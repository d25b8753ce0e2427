"""Compare the sizes of prepared splits with the published ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from seqaudio.store import Store


def expect_counts(store: Store, expected: Mapping[str, int], limit: int | None) -> None:
    """Warn on stderr where the numbers of rows differ from those of the whole corpus; not in a trial with `limit`."""
    found = {split: count.rows for split, count in store.counts.items() if count.rows}
    if limit is None and found != dict(expected):
        print(f"warning: {_listed(found)}; the whole corpus has {_listed(expected)}", file=sys.stderr)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())
