"""Read recordings in batches: a thread decodes compressed files ahead, and recordings of equal length are grouped."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from seqaudio.errors import InputFileError
from seqaudio.prepare.engine import Item

BATCH = 64  # recordings in a batch, at most
BATCH_SAMPLES = 1 << 18  # a batch ends when it has so many: 1 MiB, which fits into a core's cache
DECODED_AHEAD = 4  # recordings; few, since each may be an hour long

Decoded = tuple[Item, np.ndarray | InputFileError]  # with its samples [N], or the error that reading raised


def decoded_ahead(items: Sequence[Item], read: Callable[[Item], np.ndarray]) -> Iterator[Decoded]:
    """Each item in order with the samples or the error of `read`; the next compressed files are decoded meanwhile."""

    def samples_or_error(item: Item) -> np.ndarray | InputFileError:
        try:
            return read(item)
        except InputFileError as error:
            return error

    with ThreadPoolExecutor(1, "decode") as decoder:
        ahead = deque[Callable[[], np.ndarray | InputFileError]]()
        waiting = iter(items)
        for item in items:
            for following in itertools.islice(waiting, DECODED_AHEAD - len(ahead)):
                if following.path is not None and following.path.suffix.lower() == ".wav":
                    # reading a WAV takes less time than handing it to the thread
                    ahead.append(functools.partial(samples_or_error, following))
                else:
                    ahead.append(decoder.submit(samples_or_error, following).result)
            yield item, ahead.popleft()()


def batches(decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
    """Lists of at most BATCH recordings; fewer where they reach BATCH_SAMPLES."""
    batch: list[Decoded] = []
    held = 0
    for item, samples in decoded:
        batch.append((item, samples))
        held += 0 if isinstance(samples, InputFileError) else len(samples)
        if len(batch) == BATCH or held >= BATCH_SAMPLES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def equal_lengths(batch: Sequence[Decoded]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Group a batch by length, without errors: the places of a group's recordings in the batch, and samples [B, N]."""
    places = defaultdict[int, list[int]](list)
    recordings = [samples for _, samples in batch]
    for place, samples in enumerate(recordings):
        if isinstance(samples, np.ndarray):
            places[len(samples)].append(place)
    for group in places.values():
        yield group, np.stack([samples for place in group if isinstance(samples := recordings[place], np.ndarray)])
