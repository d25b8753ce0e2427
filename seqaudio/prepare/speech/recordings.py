"""Turn recordings into rows of a store: read a file, note its faults, extract its features."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from seqaudio.audio import Recording, require_full_scale, sound_faults
from seqaudio.audio.recording import MAX_SECONDS, from_int16, to_int16
from seqaudio.errors import AudioError, InputFileError, OptionError
from seqaudio.features.extraction import extract_batch
from seqaudio.features.settings import FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.engine.statistics import FrameStatistics, statistics_of_each
from seqaudio.prepare.speech.reading_ahead import batches, decoded_ahead, equal_lengths
from seqaudio.prepare.speech.segments import read_item
from seqaudio.registry import did_you_mean
from seqaudio.store import StoreDescription
from seqaudio.units import Seconds

Keep = Literal["features", "samples"]


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
        others: more settings for `store.json`, such as the hash of a list that the splits come from.
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

    With `keep="features"` a row holds frames [T, F] float32. With `keep="samples"` it holds samples [N] int16 at the
    settings' rate, with the statistics of the frames that these samples give, so that normalisation is the same.

    Raises, when called:
        AudioError: the file cannot be used (see `read_audio`), is in another unit, is shorter than one frame, does not
            match `names`, or has neither label nor text.
    """

    settings: FeatureSettings
    names: str = ""  # a regular expression for the whole file name without suffix; empty: any name
    example: str = ""  # a name that matches, for the error about one that does not
    max_seconds: Seconds = MAX_SECONDS
    keep: Keep = "features"

    def __post_init__(self) -> None:
        _check_keep(self.keep)

    def __call__(self, item: Item) -> list[Row]:
        recording = self.recording(item)
        return self.rows([item], recording.samples[None], [recording.remark])

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        """The rows or the error of each item, in order.

        Recordings of equal length are extracted in one batch, to save time. This changes no bit: the extractor works on
        each recording alone.
        """
        for batch in batches(decoded_ahead(items, self.recording)):
            outcomes = {place: error for place, (_, error) in enumerate(batch) if isinstance(error, InputFileError)}
            remarks = ["" if isinstance(read, InputFileError) else read.remark for _, read in batch]
            rows: dict[int, list[Row]] = {}
            for places, samples in equal_lengths(batch):
                made = self.rows([batch[place][0] for place in places], samples, [remarks[place] for place in places])
                rows |= {place: [row] for place, row in zip(places, made, strict=True)}
            yield from (rows[place] if place in rows else outcomes[place] for place in range(len(batch)))

    def rows(self, items: Sequence[Item], samples: np.ndarray, remarks: Sequence[str] = ()) -> list[Row]:
        """Rows of recordings [B, N] float32 of one length, at the settings' rate: one for each item, in order.

        `remarks` about the files of the items go into the ledger, before those about the sound.
        """
        faults = sound_faults(samples)
        if any(remarks):
            faults = ["; ".join(filter(None, pair)) for pair in zip(remarks, faults, strict=True)]
        sequences, statistics = self._sequences(samples, [item.split in ("", "train") for item in items])
        seconds = samples.shape[1] / self.settings.sample_rate
        return [
            Row(item.id, sequence, seconds, item.split, remark=fault, statistics=row_statistics)
            for item, sequence, fault, row_statistics in zip(items, sequences, faults, statistics, strict=True)
        ]

    def recording(self, item: Item) -> Recording:
        """The item's recording, samples [N] float32, at the settings' rate. Raises AudioError as the class says."""
        if item.path is None:
            raise AudioError(item.key, Reason.MISSING, "its row in the table has no path")
        if self.names and not re.fullmatch(self.names, item.file.stem):
            detail = f"named {item.file.name}, expected a name such as {self.example}"
            raise AudioError(item.file, Reason.UNEXPECTED_NAME, detail)
        if not (item.label or item.text):
            detail = "has neither label nor text, so there is nothing to learn from it"
            raise AudioError(item.file, Reason.NO_LABEL, detail)
        recording = read_item(item, self.settings.sample_rate, self.max_seconds)
        samples = recording.samples
        if not self.settings.frames(len(samples)):
            raise AudioError(
                item.file,
                Reason.TOO_SHORT,
                f"{len(samples)} samples at {self.settings.sample_rate} Hz, shorter than one frame of "
                f"{self.settings.min_samples}",
            )
        require_full_scale(item.file, samples)
        return recording

    def _sequences(
        self, samples: np.ndarray, training: Sequence[bool]
    ) -> tuple[np.ndarray, list[FrameStatistics | None]]:
        """Frames or int16 samples for the rows of samples [B, N], and the frame statistics of training rows."""
        counted = np.flatnonzero(training)
        if self.keep == "features":
            sequences = extract_batch(samples, self.settings)
            frames = sequences[counted]
        else:
            sequences = to_int16(samples)
            # frames are needed here for their statistics alone
            frames = (
                extract_batch(from_int16(sequences[counted]), self.settings) if len(counted) else sequences[:0, None]
            )
        statistics: list[FrameStatistics | None] = [None] * len(samples)
        for place, row_statistics in zip(counted.tolist(), statistics_of_each(frames), strict=True):
            statistics[place] = row_statistics
        return sequences, statistics


def _check_keep(keep: str) -> None:
    if keep not in get_args(Keep):
        raise OptionError(f"--keep {keep}; {did_you_mean(keep, list(get_args(Keep)))}")
