"""What `data_prep/` scripts do with each recording: decode it, resample it, extract its features."""

from __future__ import annotations

import functools
import itertools
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from seqaudio.audio import read_audio, sound_faults
from seqaudio.errors import AudioError, InputFileError, OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.prepare.build import Item, Row
from seqaudio.prepare.build.statistics import moments_of_each
from seqaudio.registry import did_you_mean
from seqaudio.store import StoreDescription
from seqaudio.units import Seconds

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor

Keep = Literal["features", "samples"]
FULL_SCALE = 32768  # of 16-bit samples
BATCH = 64  # recordings that are extracted together, at most
BATCH_SAMPLES = (
    1 << 18
)  # of them: 1 MiB, which stays in a core's cache and in the memory that is there; or one recording
KEPT_BYTES = 1 << 24  # 16 MiB, more than the spectra of a block take
DECODED_AHEAD = 4  # recordings: few, as each may be an hour long


def speech_description(
    settings: FeatureSettings,
    keep: Keep = "features",
    *,
    sources: tuple[str, ...] = (),
    licence: str = "",
    others: Mapping[str, Any] | None = None,
) -> StoreDescription:
    """The description of a store that `ExtractFeatures` fills, normalised by its training frames.

    Args:
        keep: `features` makes a store of kind features; `samples` one of kind audio, with the same settings and the
            same statistics, from which features are computed when a batch is made.
        others: more settings, such as the hash of a list that the splits come from.
    """
    _check_keep(keep)
    return StoreDescription(
        kind="audio" if keep == "samples" else "features",
        settings={"features": settings.to_dict(), **(others or {})},
        sources=sources,
        licence=licence,
        normalise=True,
    )


@dataclass(frozen=True)
class ExtractFeatures:
    """A `Process` for `build_store`: one recording becomes one row.

    The row holds frames [T, F] float32, or samples [N] int16 at the settings' rate where `keep` says so; the latter
    with the moments of the frames that they give, so that normalisation is the same.

    Raises, when called:
        AudioError: the file cannot be used (see `read_audio`), is shorter than one frame, has another name than
            expected, or has neither label nor text.
    """

    settings: FeatureSettings
    names: str = ""  # a regular expression for the whole file name without suffix; empty: any name will do
    example: str = ""  # a name that matches, for the message about one that does not
    max_seconds: Seconds = 3600.0
    keep: Keep = "features"

    def __post_init__(self) -> None:
        _check_keep(self.keep)

    def __call__(self, item: Item) -> list[Row]:
        return [self.row(item.id, self._samples(item), item.split)]

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        """The outcome of each item, in order.

        Recordings of equal length are extracted together, up to BATCH of them. The extractor works on each alone, so
        that changes no bit; it saves what is the same for all. A thread decodes compressed files ahead meanwhile.
        """
        for batch in _batches(self._decoded(items)):
            outcomes: list[list[Row] | InputFileError] = [[]] * len(batch)
            groups = defaultdict[int, list[int]](list)
            for place, (_, samples) in enumerate(batch):
                if isinstance(samples, InputFileError):
                    outcomes[place] = samples
                else:
                    groups[len(samples)].append(place)
            for places in groups.values():
                rows = self._rows([batch[place] for place in places])
                for place, row in zip(places, rows, strict=True):
                    outcomes[place] = [row]
            yield from outcomes

    def row(self, name: str, samples: np.ndarray, split: str = "") -> Row:
        """The row of samples [N] float32 at the settings' rate, such as a part of a recording."""
        (row,) = self._rows_of([name], [split], samples[None])
        return row

    def _rows(self, decoded: Sequence[tuple[Item, np.ndarray | InputFileError]]) -> list[Row]:
        items = [item for item, _ in decoded]
        samples = np.stack([samples for _, samples in decoded if isinstance(samples, np.ndarray)])
        return self._rows_of([item.id for item in items], [item.split for item in items], samples)

    def _rows_of(self, names: Sequence[str], splits: Sequence[str], samples: np.ndarray) -> list[Row]:
        """The rows of recordings [B, N] of one length."""
        seconds = samples.shape[1] / self.settings.sample_rate
        remarks = sound_faults(samples)
        # of the other splits nothing is counted
        counted = [place for place, split in enumerate(splits) if split in ("", "train")]
        if self.keep == "features":
            sequences = extract_batch(samples, self.settings)
            heard = sequences[counted]
        else:
            sequences = to_16_bits(samples)
            heard = extract_batch(from_16_bits(sequences[counted]), self.settings) if counted else sequences[:0, None]
        moments = dict(zip(counted, moments_of_each(heard), strict=True))
        return [
            Row(
                names[place],
                sequences[place],
                seconds,
                splits[place],
                remark=remarks[place],
                moments=moments.get(place),
            )
            for place in range(len(names))
        ]

    def _decoded(self, items: Sequence[Item]) -> Iterator[tuple[Item, np.ndarray | InputFileError]]:
        """Each item with its samples [N] or why there are none."""
        with ThreadPoolExecutor(1, "decode") as decoder:
            ahead = deque[Callable[[], np.ndarray | InputFileError]]()
            waiting = iter(items)
            for item in items:
                for following in itertools.islice(waiting, DECODED_AHEAD - len(ahead)):
                    ahead.append(self._begin(following, decoder))
                yield item, ahead.popleft()()

    def _begin(self, item: Item, decoder: ThreadPoolExecutor) -> Callable[[], np.ndarray | InputFileError]:
        if item.path is not None and item.path.suffix.lower() == ".wav":
            # reading it takes less time than handing it over
            return functools.partial(self._samples_or_error, item)
        return decoder.submit(self._samples_or_error, item).result

    def _samples_or_error(self, item: Item) -> np.ndarray | InputFileError:
        try:
            return self._samples(item)
        except InputFileError as error:
            return error

    def _samples(self, item: Item) -> np.ndarray:
        """Samples [N] float32 of a recording that is as it should be."""
        if item.path is None:
            raise AudioError(item.key, Reason.MISSING, "its row has no path")
        if self.names and not re.fullmatch(self.names, item.file.stem):
            detail = f"named {item.file.name}, expected a name such as {self.example}"
            raise AudioError(item.file, Reason.UNEXPECTED_NAME, detail)
        if not (item.label or item.text):
            raise AudioError(
                item.file, Reason.NO_LABEL, "has neither label nor text, so there is nothing to learn from it"
            )
        recording = read_audio(item.file, self.settings.sample_rate, self.max_seconds, item.content)
        if not self.settings.frames(len(recording.samples)):
            raise AudioError(
                item.file,
                Reason.TOO_SHORT,
                f"{len(recording.samples)} samples at {recording.sample_rate} Hz, shorter than one frame of "
                f"{self.settings.least_samples}",
            )
        return recording.samples


def to_16_bits(samples: np.ndarray) -> np.ndarray:
    """Samples, full scale -1..1, as the nearest int16; what is beyond full scale is clipped."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_16_bits(samples: np.ndarray) -> np.ndarray:
    """The inverse of `to_16_bits`: float32, full scale -1..1. Exact for recordings that had 16 bits."""
    floats: np.ndarray = samples.astype(np.float32) / np.float32(FULL_SCALE)
    return floats


def extract_frames(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Frames [T, F] float32 of one recording's samples [N] at the rate of the settings; torch works on one thread."""
    frames: np.ndarray = extract_batch(samples[None], settings)[0]
    return frames


def extract_batch(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """The same for recordings [B, N] of one length: [B, T, F], each equal to the bit to that of it alone."""
    import torch

    with _one_thread(), torch.inference_mode():
        frames: np.ndarray = _extractor(settings)(torch.from_numpy(samples)).numpy()  # [T, B, F]
    rows: np.ndarray = np.ascontiguousarray(frames.swapaxes(0, 1))
    return rows


def _batches(
    decoded: Iterable[tuple[Item, np.ndarray | InputFileError]],
) -> Iterator[list[tuple[Item, np.ndarray | InputFileError]]]:
    """Lists of at most BATCH recordings, or of fewer long ones."""
    batch: list[tuple[Item, np.ndarray | InputFileError]] = []
    held = 0
    for item, samples in decoded:
        batch.append((item, samples))
        held += 0 if isinstance(samples, InputFileError) else len(samples)
        if len(batch) == BATCH or held >= BATCH_SAMPLES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _check_keep(keep: str) -> None:
    if keep not in get_args(Keep):
        raise OptionError(f"--keep {keep}; {did_you_mean(keep, list(get_args(Keep)))}")


@functools.lru_cache(maxsize=4)
def _extractor(settings: FeatureSettings) -> FeatureExtractor:
    """One extractor a process, made at its first recording."""
    from seqaudio.features.extractor import FeatureExtractor

    _keep_freed_memory()
    return FeatureExtractor(settings)


def _keep_freed_memory() -> None:
    """Let the C library keep blocks of spectra that are freed, where it would give each back and ask for it anew.

    glibc takes the size of the largest block that was ever freed for what a program needs again and again. So one of
    KEPT_BYTES, never touched, is enough; without it a third of the time of short clips goes into page faults.
    """
    block = np.empty(KEPT_BYTES, dtype=np.uint8)
    del block


class _Threads:
    """How many threads of this process extract features now, and how many torch had before."""

    lock = threading.Lock()
    inside = 0
    before = 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: workers do not fight for cores, and any number of them gives equal frames."""
    import torch

    with _Threads.lock:
        if not _Threads.inside:
            _Threads.before = torch.get_num_threads()
        _Threads.inside += 1
        torch.set_num_threads(1)  # the number is kept for each thread that calls
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.inside -= 1
            if not _Threads.inside:
                torch.set_num_threads(_Threads.before)
