"""Segments of long recordings: an item with a start and an end is cut out of its file, which is decoded once."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

from seqaudio.audio import Recording, read_audio, read_audio_bytes
from seqaudio.errors import AudioError
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item
from seqaudio.units import Seconds

TOLERANCE = 0.05  # seconds that an end may lie beyond that of the recording, as tables round ends


def read_item(item: Item, sample_rate: int, max_seconds: Seconds) -> Recording:
    """An item's recording, or the segment of it from `start` to `end`, at `sample_rate` hertz.

    Raises AudioError as `read_audio` does, and for a segment that is empty or not within its recording.
    """
    if item.held is not None:
        content = item.held.read() if item.content is None else item.content
        return read_audio_bytes(content, item.file, sample_rate, max_seconds)
    if item.start == 0.0 and item.end is None:
        return read_audio(item.file, sample_rate, max_seconds, item.content)
    try:
        status = item.file.stat()
    except OSError:  # gone since it was listed; `read_audio` says so
        return read_audio(item.file, sample_rate, max_seconds)
    whole = _whole(item.file, sample_rate, max_seconds, (status.st_size, status.st_mtime_ns))
    seconds = whole.seconds
    end = seconds if item.end is None else item.end
    if not 0 <= item.start < end <= seconds + TOLERANCE:
        raise AudioError(
            item.file,
            Reason.TOO_SHORT,
            f"the segment from {item.start:g} to {end:g} s, expected one within the {seconds:.3f} s of the recording; "
            f"correct start and end",
        )
    # a copy: a view would keep the whole recording in memory
    return replace(whole, samples=whole.samples[round(item.start * sample_rate) : round(end * sample_rate)].copy())


@functools.lru_cache(maxsize=1)
def _whole(path: Path, sample_rate: int, max_seconds: Seconds, stamp: tuple[int, int]) -> Recording:
    """A recording; the last one is kept, since its next segment mostly follows. `stamp` differs for a changed file."""
    return read_audio(path, sample_rate, max_seconds)
