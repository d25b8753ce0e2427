"""Prepare frames of features that were computed elsewhere, such as by librosa, into a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.features import feature_settings
from seqaudio.features.settings import FeatureSettings
from seqaudio.ledger import Reason, encode_field
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.speech.recordings import speech_description
from seqaudio.store import Store


@dataclass(frozen=True, eq=False)
class Frames:
    """The features of one recording, [F, T] as librosa and torchaudio give them, with what is known about it."""

    id: str
    values: np.ndarray
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""
    split: str = ""  # train, valid or test; empty: to be drawn


def store_from_frames(
    recordings: Iterable[Frames],
    out: Path | str,
    features: str | FeatureSettings,
    *,
    sample_rate: int | None = None,
    valid_percent: float = 10.0,
    test_percent: float = 10.0,
    source: str = "",
    licence: str = "",
    **options: Any,
) -> Store:
    """Prepare a store from arrays of features.

    Args:
        recordings: the arrays are held in memory until the store is made.
        features: what computed them, as a preset with changes or settings, such as "librosa+coefficients=13": a model
            that is trained on them computes these from recordings. Only the width of frames can be checked.
        sample_rate: hertz, for a preset; None keeps that of the preset.
        valid_percent, test_percent: of the recordings without a split.
        source, licence: of the corpus, for `store.json`.
        options: of `build_store`: force, update, workers.
    Raises:
        OptionError: no such preset.
        SourceError: an array that is not [F, T] of the settings' F, and no recordings.
        StoreError: as `build_store`; arrays with NaN are refused in the ledger.
    """
    settings = features if isinstance(features, FeatureSettings) else feature_settings(features, sample_rate)
    if isinstance(features, FeatureSettings) and sample_rate not in (None, features.sample_rate):
        raise OptionError(f"got {sample_rate} Hz, and settings for {features.sample_rate} Hz; give one of them")
    items = [_item(one, settings.size) for one in recordings]
    filled = fill_splits(items, valid_percent, test_percent).items
    sources = (source,) if source else ()
    description = speech_description(settings, sources=sources, licence=licence)
    return build_store(Path(out), filled, GivenFrames(settings), description, **options)


@dataclass(frozen=True)
class HeldFrames:
    """The bytes of an array [T, F] float32."""

    content: bytes
    stamp: str  # SHA-256 of the bytes

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class GivenFrames:
    """A `Process` for `build_store`: an item that holds frames becomes a row.

    Raises, when called, AudioError: no frame, a value that is not finite, or neither label nor text.
    """

    settings: FeatureSettings

    def __call__(self, item: Item) -> list[Row]:
        content = item.content if item.content is not None else item.held.read() if item.held else b""
        frames = np.frombuffer(content, "<f4").reshape(-1, self.settings.size)
        if not (item.label or item.text):
            detail = "has neither label nor text, so there is nothing to learn from it"
            raise AudioError(item.key, Reason.NO_LABEL, detail)
        if not len(frames):
            raise AudioError(item.key, Reason.TOO_SHORT, "has no frame")
        if not np.isfinite(frames).all():
            raise AudioError(item.key, Reason.NOT_FINITE, "has values that are NaN or infinite")
        hop, window = self.settings.hop_samples, self.settings.window_samples
        edges = window if self.settings.edges == "none" else hop
        return [Row(item.id, frames, ((len(frames) - 1) * hop + edges) / self.settings.sample_rate, item.split)]


def _item(one: Frames, size: int) -> Item:
    values = np.asarray(one.values)
    if values.ndim != 2 or len(values) != size or values.dtype.kind not in "fiu":
        turned = "; transpose it" if values.ndim == 2 and values.shape[1] == size else ""
        raise SourceError(
            f"{one.id}: {list(values.shape)} {values.dtype}, expected [{size}, T] as the settings say{turned}"
        )
    content = np.ascontiguousarray(values.T, dtype="<f4").tobytes()
    held = HeldFrames(content, hashlib.sha256(content).hexdigest())
    path = Path(one.id)  # its name
    return Item(
        one.id, path, encode_field(one.id), one.split, one.label, one.text, one.speaker, one.condition, held=held
    )
