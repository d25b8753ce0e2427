"""Read recordings in batches: a thread decodes compressed files ahead, and recordings of equal length are grouped."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from seqaudio.audio import Recording
from seqaudio.errors import InputFileError
from seqaudio.prepare.engine import Item

BATCH = 64  # recordings in a batch, at most
BATCH_SAMPLES = 1 << 18  # a batch ends when it has so many: 1 MiB, which fits into a core's cache
DECODED_AHEAD = 4  # recordings; few, since each may be an hour long

Decoded = tuple[Item, Recording | InputFileError]  # or the error that reading raised


def decoded_ahead(items: Sequence[Item], read: Callable[[Item], Recording]) -> Iterator[Decoded]:
    """Each item in order with the recording or the error of `read`; the next compressed files are decoded meanwhile.

    Reading a WAV takes less time than handing it to the thread.
    """

    def recording_or_error(item: Item) -> Recording | InputFileError:
        try:
            return read(item)
        except InputFileError as error:
            return error

    if all(item.content is not None and item.content[:4] == b"RIFF" for item in items):  # most often
        yield from ((item, recording_or_error(item)) for item in items)
        return
    with ThreadPoolExecutor(1, "decode") as decoder:
        ahead = deque[Callable[[], Recording | InputFileError]]()
        waiting = iter(items)
        for item in items:
            for following in itertools.islice(waiting, DECODED_AHEAD - len(ahead)):
                if following.path is not None and following.path.suffix.lower() == ".wav":
                    ahead.append(functools.partial(recording_or_error, following))
                else:
                    ahead.append(decoder.submit(recording_or_error, following).result)
            yield item, ahead.popleft()()


def batches(decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
    """Lists of at most BATCH recordings; fewer where they reach BATCH_SAMPLES."""
    batch: list[Decoded] = []
    held = 0
    for item, recording in decoded:
        batch.append((item, recording))
        held += 0 if isinstance(recording, InputFileError) else len(recording.samples)
        if len(batch) == BATCH or held >= BATCH_SAMPLES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def equal_lengths(batch: Sequence[Decoded]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Group a batch by length, without errors: the places of a group's recordings in the batch, and samples [B, N]."""
    places = defaultdict[int, list[int]](list)
    samples = {place: read.samples for place, (_, read) in enumerate(batch) if isinstance(read, Recording)}
    for place, recording in samples.items():
        places[len(recording)].append(place)
    for group in places.values():
        yield group, np.stack([samples[place] for place in group])
