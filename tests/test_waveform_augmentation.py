"""Changes of samples: what each does, measured; that keys alone decide; and batches made of kept samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.augmentation import Augmentation, WaveformAugmentation, WaveformAugmenter, augment
from seqaudio.augmentation.acoustics import BUILT_IN, NOISES, active_part, level
from seqaudio.augmentation.sound_folder import SoundFolder
from seqaudio.augmentation.waveforms import WaveformChange, shifted
from seqaudio.batching import LabelledRecordings, LabelledSequences, PaddedBatches
from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.features import feature_settings
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, Keep, speech_description
from seqaudio.store import Store

RATE = 16000
OFF = WaveformAugmentation(speed=0, time_shift=0, room=0, noise=0, telephone=0, gain=0)
ALWAYS = WaveformAugmentation(room=1, noise=1, telephone=1)
ROW = "3_theo_12"


def clip(samples: int = RATE, seed: int = 1) -> np.ndarray:
    """A made-up word in the middle of a clip, over a faint hiss; [N] float32."""
    draw = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    swell = np.exp(-(((time - samples / RATE / 2) / 0.12) ** 2))
    voice = np.sin(2 * np.pi * 220 * time) + 0.5 * np.sin(2 * np.pi * 1500 * time)
    return (0.2 * swell * voice + 1e-4 * draw.standard_normal(samples)).astype(np.float32)


def augmenter(seed: int = 1, **changes: object) -> WaveformAugmenter:
    return WaveformAugmenter(replace(OFF, **changes), RATE, seed)


def pitch(samples: np.ndarray) -> float:
    """Frequency of the strongest partial, hertz."""
    spectrum = np.abs(np.fft.rfft(samples, 1 << 18))
    return float(np.argmax(spectrum) * RATE / (1 << 18))


# keys


def test_equal_keys_give_equal_samples() -> None:
    first = WaveformAugmenter(ALWAYS, RATE, seed=1)
    expected = first(clip(), 3, ROW)
    first(clip(seed=2), 4, "something between")
    np.testing.assert_array_equal(first(clip(), 3, ROW), expected)
    np.testing.assert_array_equal(WaveformAugmenter(ALWAYS, RATE, seed=1)(clip(), 3, ROW), expected)


@pytest.mark.parametrize("other", [(2, 0, ROW), (1, 1, ROW), (1, 0, "3_theo_13"), (0, 1, ROW)])
def test_seed_epoch_and_row_each_matter(other: tuple[int, int, str]) -> None:
    seed, epoch, row = other
    assert WaveformAugmenter(ALWAYS, RATE, seed).draw(epoch, row) != WaveformAugmenter(ALWAYS, RATE, 1).draw(0, ROW)


@pytest.mark.parametrize("off", ["speed", "time_shift", "room", "noise", "telephone", "gain"])
def test_turning_one_change_off_leaves_the_draws_of_the_others(off: str) -> None:
    both = [WaveformAugmenter(options, RATE, 1).draw(0, ROW) for options in (ALWAYS, replace(ALWAYS, **{off: 0}))]
    own = {"time_shift": {"shift"}, "room": {"room", "direct_to_reverberant"}, "noise": {"noise", "snr"}}
    for field in fields(WaveformChange):
        if field.name not in own.get(off, {off}):
            assert getattr(both[0], field.name) == getattr(both[1], field.name)


def test_off_is_identity_and_a_new_array() -> None:
    samples = clip() * 3  # nearly at full scale
    samples.setflags(write=False)  # as a memory-mapped store gives them
    changed = augmenter()(samples, 0, ROW)
    np.testing.assert_array_equal(changed, samples)
    assert not np.shares_memory(changed, samples)
    assert str(augmenter().draw(0, ROW)) == ""


@given(samples=st.integers(200, 6000), epoch=st.integers(0, 10_000), silent=st.booleans())
@settings(max_examples=60)
def test_any_clip_stays_finite_within_full_scale_and_of_its_type(samples: int, epoch: int, silent: bool) -> None:
    before = np.zeros(samples, np.float32) if silent else clip(samples)
    after = WaveformAugmenter(ALWAYS, RATE, seed=1)(before, epoch, ROW)
    assert after.dtype == np.float32
    assert 0.89 * samples < len(after) < 1.12 * samples + 2
    assert np.isfinite(after).all()
    assert np.abs(after).max() <= 1
    assert np.any(after) != silent


# each change


def test_speed_changes_duration_and_pitch_together() -> None:
    faster = augmenter()
    for speed in (0.9, 1.1):
        changed = faster.apply(WaveformChange(speed=speed), clip(), (1, 0, ROW))[0]
        assert len(changed) == pytest.approx(RATE / speed, abs=2)
        assert pitch(changed) == pytest.approx(220 * speed, rel=0.01)


def test_a_shift_moves_sound_and_fills_with_silence() -> None:
    np.testing.assert_array_equal(shifted(np.arange(1, 6), 2), [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(shifted(np.arange(1, 6), -2), [3, 4, 5, 0, 0])
    for by in (0, 5, -5, 9, -9):
        assert np.any(shifted(np.arange(1, 6), by)) == (abs(by) < 5)


def test_a_shift_is_at_most_a_quarter_of_a_short_clip() -> None:
    changed, done = augmenter().apply(WaveformChange(shift=0.5), np.ones(1000, np.float32), (1, 0, ROW))
    assert np.flatnonzero(changed).tolist() == list(range(250, 1000))
    assert done.shift == pytest.approx(250 / RATE)


def test_shifts_spread_over_both_sides() -> None:
    shifts = [augmenter(time_shift=0.1).draw(epoch, ROW).shift for epoch in range(300)]
    assert min(shifts) == pytest.approx(-0.1, abs=0.005)
    assert max(shifts) == pytest.approx(0.1, abs=0.005)


def test_noise_has_the_ratio_that_was_drawn() -> None:
    noisy = augmenter(noise=1.0, snr=(5.0, 15.0))
    for epoch in range(20):
        snr = noisy.draw(epoch, ROW).snr
        assert 5 <= snr <= 15
        active = active_part(clip())
        added = noisy(clip(), epoch, ROW) - clip()
        assert level(clip()[active]) - level(added[active]) == pytest.approx(snr, abs=0.01)


def test_shares_are_kept() -> None:
    some = augmenter(room=0.3, noise=0.5, telephone=0.1)
    drawn = [some.draw(epoch, ROW) for epoch in range(2000)]
    assert np.mean([change.room is not None for change in drawn]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([change.noise is not None for change in drawn]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([change.telephone for change in drawn]) == pytest.approx(0.1, abs=0.03)


def test_a_telephone_takes_the_high_frequencies() -> None:
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(augmenter(telephone=1.0)(hiss, 0, ROW))) ** 2
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    assert spectrum[hertz > 4200].mean() < 2e-5 * spectrum[(hertz > 400) & (hertz < 3000)].mean()


def test_a_gain_is_in_decibels() -> None:
    louder = augmenter(gain=6.0)
    drawn = louder.draw(0, ROW).gain
    assert 0 < abs(drawn) <= 6
    assert level(louder(clip(), 0, ROW)) - level(clip()) == pytest.approx(drawn, abs=1e-3)


def test_what_would_clip_is_made_quieter_as_a_whole() -> None:
    loud, done = augmenter().apply(WaveformChange(gain=20.0), clip(), (1, 0, ROW))
    assert np.abs(loud).max() == pytest.approx(10 ** (-1 / 20), abs=1e-4)
    assert done.gain == pytest.approx(level(loud) - level(clip()), abs=1e-3)


def test_of_silence_nothing_is_told_but_its_length() -> None:
    change = WaveformChange(1.07, -0.046, 0.31, 5.0, "pink", 8.2, True, 3.4)
    after, done = augmenter().apply(change, np.zeros(RATE, np.float32), (1, 0, ROW))
    assert not np.any(after)
    assert str(done) == "speed 1.07"


def test_a_room_prolongs_the_word() -> None:
    short, long = (
        augmenter().apply(WaveformChange(room=time, direct_to_reverberant=0.0), clip(), (1, 0, ROW))[0]
        for time in (0.1, 0.6)
    )
    after = slice(13_000, None)
    assert level(long[after]) > level(short[after]) + 10


def test_what_was_drawn_is_told_in_words() -> None:
    change = WaveformChange(1.07, -0.046, 0.31, 5.0, "babble", 8.2, True, 3.4)
    assert str(change) == "speed 1.07, shift -46 ms, room of 0.31 s, babble noise at 8 dB, telephone, gain +3 dB"
    assert str(WaveformChange(room=0.0, noise="recorded", snr=3)) == "recorded room, recorded noise at 3 dB"


# folders


def test_noise_and_rooms_come_from_folders(tmp_path: Path) -> None:
    (tmp_path / "noise" / "deep").mkdir(parents=True)
    (tmp_path / "room").mkdir()
    time = np.arange(3 * RATE) / RATE
    soundfile.write(tmp_path / "noise" / "deep" / "ü.wav", 0.3 * np.sin(2 * np.pi * 3000 * time), RATE)
    soundfile.write(tmp_path / "room" / "r.wav", np.eye(1, 4000, 200)[0] * 0.9 + np.eye(1, 4000, 2200)[0] * 0.3, RATE)
    noisy = augmenter(noise=1.0, noise_folder=tmp_path / "noise", snr=(10.0, 10.0))
    assert pitch(noisy(clip(), 0, ROW) - clip()) == pytest.approx(3000, abs=1)
    assert noisy.draw(0, ROW).noise == "recorded"
    echo = augmenter(room=1.0, room_folder=tmp_path / "room")(clip(), 0, ROW)
    expected = clip() + np.concatenate([np.zeros(2000, np.float32), clip()[:-2000]]) / 3
    np.testing.assert_allclose(echo / level(echo), expected / level(expected), atol=0.02)


def test_a_short_recording_of_noise_is_repeated_and_a_long_one_is_cut(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 100), RATE, subtype="FLOAT")
    folder = SoundFolder(tmp_path, RATE)
    draw = np.random.default_rng(0)
    np.testing.assert_array_equal(folder.cut(250, draw)[100:200], folder.draw(draw))
    cuts = {float(folder.cut(60, draw)[0]) for _ in range(50)}
    assert len(cuts) > 10
    assert all(len(folder.cut(count, draw)) == count for count in (1, 99, 100, 101))


def test_a_folder_of_silence_is_refused_as_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    noisy = augmenter(noise=1.0, noise_folder=tmp_path)
    with pytest.raises(SourceError, match="all 1 recordings are silent"):
        noisy.apply(noisy.draw(0, ROW), clip(), (1, 0, ROW))
    assert "a.wav: 100 % of it is silence" in capsys.readouterr().err


def test_a_silent_recording_of_a_room_is_refused_by_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    with pytest.raises(
        AudioError, match=r"a\.wav: empty: 16000 samples of silence, expected an impulse response; remove it"
    ):
        augmenter(room=1.0, room_folder=tmp_path)(clip(), 0, ROW)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(OptionError, match="--seed -1, expected 0 or more"):
        augmenter(seed=-1)


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_sound_is_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no such folder|no sound files"):
        augmenter(noise=0.5, noise_folder=tmp_path / folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": -0.1}, "speed -0.1, expected 0"),
        ({"speed": 1.0}, "speed 1.0, expected less than 1"),
        ({"noise": 1.5}, "noise 1.5, expected a share"),
        ({"gain": float("nan")}, "gain nan, expected 0"),
        ({"snr": (10.0, 0.0)}, "snr 10.0 to 0.0, expected the minimum before"),
        ({"reverberation_time": (0.0, 0.4)}, "reverberation_time from 0.0 s"),
        ({"room": 0, "room_folder": Path("rooms")}, "room_folder is given, but room is 0"),
    ],
)
def test_senseless_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        WaveformAugmentation(**changes)  # type: ignore[arg-type]


# batches of kept samples

FEATURES = feature_settings("default+deltas=1")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Keep], Store]:
    """The same clips with their features kept, and with their samples kept."""
    folder = tmp_path_factory.mktemp("clips")
    items = []
    for number in range(12):
        path = folder / f"{number}.wav"
        soundfile.write(path, clip(RATE // 4 + 160 * number, seed=number), RATE)
        split = ["train", "valid", "test"][number % 3]
        items.append(Item(path.name, path, str(number), split, label="ab"[number // 3 % 2]))
    made = {
        keep: build_store(
            folder / keep, items, ExtractFeatures(FEATURES, keep=keep), speech_description(FEATURES, keep)
        )
        for keep in ("features", "samples")
    }
    return made.__getitem__


def test_samples_give_the_batches_of_a_store_of_features(stores: Callable[[Keep], Store]) -> None:
    features, audio = stores("features"), stores("samples")
    labels = features.names.encode(features["train"].labels)
    expected = LabelledSequences(features["train"], labels)
    kept = LabelledRecordings(audio["train"], labels, FEATURES)
    np.testing.assert_array_equal(kept.lengths, expected.lengths)
    pairs = zip(PaddedBatches(expected, 3, seed=1).epoch(2), PaddedBatches(kept, 3, seed=1).epoch(2), strict=True)
    for of_features, of_samples in pairs:
        assert of_samples.ids == of_features.ids
        torch.testing.assert_close(of_samples.lengths, of_features.lengths)
        torch.testing.assert_close(of_samples.targets, of_features.targets)
        torch.testing.assert_close(of_samples.inputs, of_features.inputs, rtol=0, atol=1e-6)


def test_kept_samples_have_the_statistics_of_their_features(stores: Callable[[Keep], Store]) -> None:
    of_features, of_samples = stores("features").normalisation, stores("samples").normalisation
    assert of_features is not None
    assert of_samples is not None
    np.testing.assert_allclose(of_samples.mean, of_features.mean, atol=1e-6)
    np.testing.assert_allclose(of_samples.std, of_features.std, atol=1e-6)


def test_changes_of_samples_and_of_frames_depend_on_the_epoch_and_not_on_the_batch(
    stores: Callable[[Keep], Store],
) -> None:
    split = stores("samples")["train"]
    change = WaveformAugmenter(ALWAYS, RATE, seed=3)

    def transform(frames: np.ndarray, epoch: int, name: str) -> np.ndarray:
        return augment(frames, FEATURES, Augmentation(), (3, epoch, name))

    collate = LabelledRecordings(split, np.zeros(len(split), np.int64), FEATURES, change, transform)
    together, alone, later = collate([0, 1, 2], 5), collate([1], 5), collate([1], 6)
    length = int(alone.lengths[0])
    torch.testing.assert_close(together.inputs[:length, 1], alone.inputs[:, 0], rtol=0, atol=0)
    assert later.inputs.shape != alone.inputs.shape or not torch.equal(later.inputs, alone.inputs)


def test_a_clip_that_speed_makes_shorter_than_a_frame_still_has_one(stores: Callable[[Keep], Store]) -> None:
    split = stores("samples")["train"]
    collate = LabelledRecordings(split, np.zeros(len(split), np.int64), FEATURES, lambda samples, *_: samples[:10])
    assert collate([0, 1], 0).lengths.tolist() == [1, 1]


def kinds_with(*registered: str) -> dict[str, WaveformChange]:
    """The changes of six hundred rows while noises of these names are registered."""
    for name in registered:
        NOISES.register(name)(lambda count, rate, draw: draw.standard_normal(count))
    try:
        changing = augmenter(noise=1.0)
        return {f"row {number}": changing.draw(1, f"row {number}") for number in range(600)}
    finally:
        for name in registered:
            del NOISES._entries[name]


def test_a_registered_noise_leaves_the_draws_of_all_others_alone() -> None:
    plain, rain, both = kinds_with(), kinds_with("rain"), kinds_with("rain", "a tram")
    assert kinds_with("a tram", "rain") == both, "the order of registering decides nothing"
    for row in plain:
        assert rain[row] == plain[row] or rain[row] == replace(plain[row], noise="rain")
        assert both[row] == rain[row] or both[row] == replace(rain[row], noise="a tram")
    drawn = [change.noise for change in both.values()]
    for name in (*BUILT_IN, "rain", "a tram"):
        assert drawn.count(name) == pytest.approx(600 / 7, rel=0.4), "all kinds are equally likely"
