"""Compare a corpus with expectations: the rows of each split, and a checksum of the samples of recordings."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.audio.recording import to_int16
from seqaudio.errors import SourceError
from seqaudio.store import Store


def samples_digest(folder: Path) -> str:
    """SHA-256 over each recording's name without suffix and its 16-bit samples (little-endian), in order of names."""
    digest = hashlib.sha256()
    for path in sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.stem):
        digest.update(f"{path.stem}\n".encode())
        digest.update(to_int16(read_audio(path).samples).astype("<i2").tobytes())
    return digest.hexdigest()


def check_samples(folder: Path, expected: str) -> None:
    """Raise SourceError unless the recordings of a folder have the expected digest."""
    digest = samples_digest(folder)
    if digest != expected:
        raise SourceError(
            f"{folder.name}: the samples have SHA-256 {digest}, expected {expected}; to use this other version of the "
            f"corpus, unpack the archive yourself and give that folder as --source"
        )


def expect_counts(store: Store, expected: Mapping[str, int], limit: int | None) -> None:
    """Warn on stderr where the numbers of rows differ from those of the whole corpus; not in a trial with `limit`."""
    found = {split: count.rows for split, count in store.counts.items() if count.rows}
    if limit is None and found != dict(expected):
        print(f"warning: {_listed(found)}; the whole corpus has {_listed(expected)}", file=sys.stderr)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())
