"""Real clips that a training did not use, as a table for a scorecard: those of the test split of their store."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from seqaudio.files import write_bytes
from seqaudio.ledger import decode_field
from seqaudio.store import Store


def write_held_out(table: Path, store: Store, source: Path, word: str) -> int:
    """Write the files of a word in the test split of a store, one a row. Returns their number; without any, no table.

    source: the folder of which `data_prep/audio_folder.py` made the store.
    """
    rows = zip(store["test"].ids, store["test"].labels, strict=True) if "test" in store.counts else ()
    files = [str(source.absolute() / decode_field(name)) for name, label in rows if label == word]
    if files:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["file"], *([file] for file in files)])
        write_bytes(table, text.getvalue().encode("utf-8", "surrogateescape"))
    return len(files)
