"""Stores of samples: what they hold, and that their statistics are those of the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_build_store import bytes_of

from conftest import RATE, spoken
from seqaudio.audio.recording import from_int16, to_int16
from seqaudio.errors import AudioError, OptionError
from seqaudio.features import FeatureSettings
from seqaudio.features.extraction import extract_frames
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, Keep, speech_description
from seqaudio.store import SPLITS, Store

SETTINGS = FeatureSettings(sample_rate=RATE)


def prepare(tmp_path: Path, keep: Keep, name: str = "", settings: FeatureSettings = SETTINGS, **options: int) -> Store:
    folder = tmp_path / "in"
    if not folder.exists():
        folder.mkdir()
        for number in range(30):
            soundfile.write(folder / f"{number:02d}.wav", spoken(number % 3, 0, number), RATE)
    items = [
        Item(path.name, path, path.name, SPLITS[n % 3], label=str(n % 2))
        for n, path in enumerate(sorted(folder.iterdir()))
    ]
    process, description = ExtractFeatures(settings, keep=keep), speech_description(settings, keep)
    return build_store(tmp_path / (name or keep), items, process, description, **options)


def test_samples_are_kept_as_they_were(tmp_path: Path) -> None:
    store = prepare(tmp_path, "samples")
    assert store.kind == "audio"
    for split in store.counts:
        for name, samples in zip(store[split].ids, store[split], strict=True):
            written, _ = soundfile.read(tmp_path / "in" / name, dtype="int16")
            assert samples.dtype == np.int16
            np.testing.assert_array_equal(samples, written)


def test_settings_and_statistics_are_those_of_the_features(tmp_path: Path) -> None:
    samples, features = prepare(tmp_path, "samples"), prepare(tmp_path, "features")
    assert samples.settings == features.settings == {"features": SETTINGS.to_dict()}
    assert samples.normalisation == features.normalisation
    frames = np.concatenate(list(features["train"])).astype(np.float64)
    assert features.normalisation
    np.testing.assert_allclose(features.normalisation.mean, frames.mean(axis=0), rtol=1e-12)
    for row, name in enumerate(features["valid"].ids):
        assert samples["valid"].ids[row] == name
        frames = extract_frames(from_int16(samples["valid"].sequence(row)), SETTINGS)
        np.testing.assert_array_equal(frames, features["valid"].sequence(row))


@pytest.mark.parametrize(("workers", "chunk"), [(1, 4), (2, 7)])
def test_chunks_and_workers_change_no_bit_of_the_statistics(tmp_path: Path, workers: int, chunk: int) -> None:
    whole = prepare(tmp_path, "samples")
    cut = prepare(tmp_path, "samples", "cut", workers=workers, chunk=chunk)
    assert bytes_of(whole.path) == bytes_of(cut.path)


def test_samples_are_resampled_to_the_rate_of_the_settings(tmp_path: Path) -> None:
    settings = FeatureSettings(sample_rate=16000)
    store = prepare(tmp_path, "samples", settings=settings)
    assert len(store["train"].sequence(0)) == pytest.approx(2 * len(spoken(0, 0, 0)), abs=2)


def test_rounding_to_int16_is_exact_for_16_bits_and_clips_what_is_louder() -> None:
    whole = np.arange(-32768, 32768, 7, dtype=np.int16)
    np.testing.assert_array_equal(to_int16(from_int16(whole)), whole)
    loud = np.array([1.0, 1.5, -1.0, -2.0, 0.49 / 32768, 0.51 / 32768], dtype=np.float32)
    assert to_int16(loud).tolist() == [32767, 32767, -32768, -32768, 0, 1]


def test_another_word_for_what_to_keep_is_refused() -> None:
    with pytest.raises(OptionError, match="--keep sample; did you mean samples"):
        ExtractFeatures(SETTINGS, keep="sample")
    with pytest.raises(OptionError, match="--keep frames"):
        speech_description(SETTINGS, "frames")


def test_a_description_holds_more_settings_where_they_are_given() -> None:
    description = speech_description(SETTINGS, sources=("made up",), licence="CC0", others={"list": "abc"})
    assert description.settings == {"features": SETTINGS.to_dict(), "list": "abc"}
    assert (description.sources, description.licence, description.normalise) == (("made up",), "CC0", True)


@pytest.mark.parametrize("keep", ["features", "samples"])
def test_many_recordings_give_the_bits_of_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Keep
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    items = []
    for number in range(90):
        # some of equal length, some of their own, some with another decoder, some bad
        path = folder / f"{number:02d}{'.flac' if number % 5 == 0 else '.wav'}"
        samples = spoken(number % 3, 0, number)
        soundfile.write(path, samples[:2000] if number % 3 else samples, RATE)
        if number % 13 == 0:
            path.write_bytes(path.read_bytes()[:300])
        items.append(Item(path.name, path, path.name, SPLITS[number % 3], label="yes"))
    process = ExtractFeatures(SETTINGS, keep=keep)
    monkeypatch.setattr("seqaudio.prepare.speech.reading_ahead.BATCH_SAMPLES", 40_000)
    together = list(process.many(items))
    assert len(together) == len(items)
    for item, outcome in zip(items, together, strict=True):
        try:
            (alone,) = process(item)
        except AudioError as error:
            assert isinstance(outcome, AudioError)
            assert (outcome.path, outcome.reason, outcome.detail) == (error.path, error.reason, error.detail)
            continue
        assert not isinstance(outcome, AudioError)
        (row,) = outcome
        assert (row.id, row.split, row.duration, row.remark) == (alone.id, alone.split, alone.duration, alone.remark)
        np.testing.assert_array_equal(row.sequence, alone.sequence)
        assert (row.statistics is None) == (alone.statistics is None)
        if row.statistics is not None and alone.statistics is not None:
            np.testing.assert_array_equal(row.statistics.flat(), alone.statistics.flat())
