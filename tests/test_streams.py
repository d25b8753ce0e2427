"""Made-up streams: what a spotter hears, when it should answer, and whether energies add up as sounds do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import RATE, Command, spoken
from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.augmentation.spectra import (
    DECIBELS,
    active_frames,
    at_snr,
    full_scale,
    in_room,
    level,
    made_up_noise,
    made_up_room,
    random_colour,
    recorded_room,
)
from seqaudio.batching import Clips, labelled_clips
from seqaudio.batching.clips import JoinedClips
from seqaudio.batching.mixing import BETWEEN, LEVELS, MICROPHONE, OVERLAP, Sounds, Word
from seqaudio.batching.streams import UNTOLD, StreamOptions, Streams, for_streams, word_seconds
from seqaudio.errors import OptionError
from seqaudio.features import FeatureSettings
from seqaudio.features.extraction import extract_frames
from seqaudio.features.presets import feature_settings
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary

SETTINGS = feature_settings("spotting", RATE)
OPTIONS = StreamOptions()
DRAW = (7, 0, 1)  # of the made-up sounds


@pytest.fixture(scope="module")
def clips(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clips, Vocabulary]:
    out = tmp_path_factory.mktemp("spotting") / "words"
    done = command(
        "data_prep/audio_folder.py", "--source", word_folder, "--out", out, "--sample-rate", str(RATE), "--features",
        "spotting", "--valid-percent", "0", "--test-percent", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = Store(out)
    labels = OPTIONS.stream_labels(store.names)
    return labelled_clips(store, store["train"], labels), labels


def streams(clips: tuple[Clips, Vocabulary], seed: int = 3, **changes: object) -> Streams:
    arguments: dict[str, object] = {"batch_size": 8, "seed": seed}
    options = {name: value for name, value in changes.items() if hasattr(OPTIONS, name)}
    arguments |= {name: value for name, value in changes.items() if name not in options}
    return Streams(JoinedClips((clips[0],)), clips[1], SETTINGS, replace(OPTIONS, **options), **arguments)  # type: ignore[arg-type]


def sounds_of(source: Streams, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[Word]]:
    """Energies [T, M] of a stream without room and noise, its background and its words."""
    power = np.zeros((1, source.frames, SETTINGS.mels), dtype=np.float32)
    background, words, placed = source._sounds(0, draw, power[0])
    source._put(placed, power)
    return power[0], background, words


def test_a_stream_depends_on_seed_epoch_and_number_alone(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips)
    expected = source.stream(2, 9)
    for batch in source.epoch(0):  # which must not move a generator
        assert batch.rows == 8
    for stream in (source.stream(2, 9), streams(clips).stream(2, 9), streams(clips, batch_size=3).stream(2, 9)):
        for one, other in zip(stream, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    for other in (source.stream(2, 10), source.stream(3, 9), streams(clips, seed=4).stream(2, 9)):
        assert not np.array_equal(other[0], expected[0])


def test_an_epoch_goes_on_from_any_batch(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips, batch_size=4)
    whole, rest = list(source.epoch(1)), list(source.epoch(1, start=1))
    assert len(whole) == len(source) >= 3
    for batch, same in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(batch.inputs, same.inputs)
        np.testing.assert_array_equal(batch.targets, same.targets)


def test_batches_are_time_major_and_finite(clips: tuple[Clips, Vocabulary]) -> None:
    batch = next(streams(clips).epoch(0))
    frames = round(OPTIONS.stream_seconds / SETTINGS.frame_shift)
    assert batch.inputs.shape == (frames, 8, SETTINGS.mels)
    assert batch.targets is not None and batch.weights is not None
    assert batch.targets.shape == batch.weights.shape == (frames, 8)
    assert batch.lengths.tolist() == [frames] * 8
    assert torch.isfinite(batch.inputs).all() and torch.isfinite(batch.weights).all()


def test_the_label_of_a_word_is_the_target_behind_it_and_its_inside_is_none(
    clips: tuple[Clips, Vocabulary],
) -> None:
    source = streams(clips, stream_seconds=8.0, joined=0.0, pause=1.0, cut_off=0.0)
    margin, overlap = (round(time / SETTINGS.frame_shift) for time in (UNTOLD, OVERLAP))
    found = 0
    for number in range(4):
        _, _, words = sounds_of(source, np.random.default_rng(number))
        background = np.full(source.frames, source.silence)
        targets, weights = source._targets(words, background.copy())
        for word in words:
            assert not weights[word.end - margin : word.end].any()
            # the target frames of the word before may cover its beginning
            assert (targets[word.first + overlap : word.end - margin] == source.reject).all()
            behind = targets[word.end : word.end + 4]
            assert (behind == word.label).all()
            assert (weights[word.end : word.end + 4] == 1.0).all()
            found += len(behind) > 0
        outside = np.ones(source.frames, dtype=bool)
        for word in words:
            outside[word.first : word.end + round((OPTIONS.hold + 0.2) / SETTINGS.frame_shift)] = False
        assert (targets[outside] == source.silence).all()
        np.testing.assert_allclose(weights[outside], OPTIONS.background_weight)
    assert found >= 8


def test_a_word_sounds_where_the_stream_says(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips, stream_seconds=8.0, joined=0.0, pause=1.0)
    power, _, words = sounds_of(source, np.random.default_rng(1))
    energies = power.sum(axis=1)
    following = [word.first for word in words[1:]] + [len(energies)]
    for word, after in zip(words, following, strict=True):
        inside = energies[word.first : word.end]
        assert inside.mean() > 0.1 * energies.max() * 10 ** (-12 / 10)
        if after > word.end + 10:  # else the next word begins there
            assert inside.mean() > 10 * energies[word.end + 6 : word.end + 8].mean()


def test_keywords_come_equally_often_however_many_clips_they_have(clips: tuple[Clips, Vocabulary]) -> None:
    everything, labels = clips
    rare = labels.index("two")
    hidden = everything.labels.copy()
    hidden[np.flatnonzero(hidden == rare)[2:]] = labels.index("one")
    source = streams((replace(everything, labels=hidden), labels), stream_seconds=20.0)
    words = [word.label for number in range(15) for word in sounds_of(source, np.random.default_rng(number))[2]]
    counts = np.bincount(words, minlength=len(labels))
    names = [labels.index(name) for name in ("one", "two", "three")]
    assert counts[source.silence] == 0
    assert counts[names].min() > 0.75 * counts[names].mean()


def test_silence_is_added_to_the_labels_and_unknown_where_there_is_other_speech() -> None:
    names = Vocabulary(("no", "yes"))
    assert list(OPTIONS.stream_labels(names)) == ["no", "yes", "silence"]
    more = replace(OPTIONS, negatives=(Path("false_alarms"),))
    assert list(more.stream_labels(names)) == ["no", "yes", "unknown", "silence"]
    already = Vocabulary(("no", "yes", "unknown", "silence"))
    assert list(OPTIONS.stream_labels(already)) == list(already)


def test_other_speech_is_unknown_where_it_sounds(clips: tuple[Clips, Vocabulary]) -> None:
    everything, _ = clips
    names = Vocabulary(tuple(name for name in clips[1] if name != "silence"))
    labels = replace(OPTIONS, speech_folder=(Path("speech"),)).stream_labels(names)
    ids = labels.encode(everything.split.labels)
    speech = (np.exp(extract_frames(spoken(2, 1, 9), SETTINGS)),)
    source = streams(
        (replace(everything, labels=ids), labels), sounds=Sounds(speech=speech), other_speech=1.0, cut_off=0.0
    )
    reject = labels.index("unknown")
    for number in range(3):
        _, targets, weights = source.stream(0, number)
        assert (targets == reject).any()
        assert set(targets.tolist()) <= {reject, source.silence}
        np.testing.assert_allclose(weights, OPTIONS.background_weight)


def test_levels_lie_within_the_bounds(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips, cut_off=0.0, in_rooms=0.0, snr=(20.0, 25.0), without_noise=0.0)
    reference = full_scale(SETTINGS)
    for number in range(12):
        frames, targets, _ = source.stream(0, number)
        if (targets == source.silence).all():
            continue
        loudest = (level(np.exp(frames.astype(np.float64))) - reference) * DECIBELS
        assert LEVELS[0] - 12 < loudest < LEVELS[1] + 12  # words differ by -8 to 4 decibels, three may coincide
        quietest = (np.log(np.exp(frames.astype(np.float64)).sum(axis=1)).min() - reference) * DECIBELS
        assert quietest > MICROPHONE[0] - 3


def test_a_cut_off_stream_has_digital_silence_at_one_end(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips, cut_off=1.0)
    ends = 0
    for number in range(6):
        frames, _, _ = source.stream(0, number)
        silent = (frames == np.float32(np.log(SETTINGS.floor))).all(axis=1)
        assert not silent.all()
        assert not (silent[0] and silent[-1])
        ends += bool(silent[0] or silent[-1])
    assert ends >= 4


def test_a_gated_noise_stops_at_words_and_nowhere_else(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips, stream_seconds=8.0, gated=1.0)
    stopped = total = 0
    for number in range(20):
        draw = np.random.default_rng(number)
        _, _, words = sounds_of(source, draw)
        gate = source._gate(words, draw)
        near = np.zeros(source.frames, dtype=bool)
        for word in words:
            near[max(0, word.first - source.frames // 8) : word.end + source.frames // 8] = True
            stopped += not gate[word.first : word.end].any()
        total += len(words)
        assert set(np.unique(gate)) <= {0.0, 1.0}
        assert gate[~near].all()
    assert 0.3 < stopped / total < 0.7
    assert streams(clips, gated=0.0)._gate(words, draw).all()


def test_clips_of_silence_sound_and_are_no_word(command: Command, word_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(word_folder, tmp_path / "words")
    (tmp_path / "words" / "three").rename(tmp_path / "words" / "silence")
    options = ("--sample-rate", str(RATE), "--features", "spotting", "--valid-percent", "0", "--test-percent", "0")
    where = ("--source", tmp_path / "words", "--out", tmp_path / "store")
    done = command("data_prep/audio_folder.py", *where, *options)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "store")
    labels = OPTIONS.stream_labels(store.names)
    with_silence = (labelled_clips(store, store["train"], labels), labels)
    silence = labels.index("silence")
    no_words = 0
    for number in range(40):
        draw = np.random.default_rng(number)
        power, background, words = sounds_of(streams(with_silence, pause=0.1), draw)
        assert (background == silence).all()
        assert all(word.label != silence for word in words)
        outside = np.ones(len(power), dtype=bool)
        for word in words:
            outside[word.first - 5 : word.end + 5] = False
        no_words += bool((power[outside].sum(axis=1) > 1e-3).any())
    assert 5 < no_words < 40
    noises = [streams(with_silence, without_noise=0.0)._noise(np.random.default_rng(number))[0] for number in range(60)]
    glide = np.array([np.log(noise.mean(axis=0)).std() for noise in noises])
    assert 0.5 < (glide > 2.5).mean() < 0.9, "the words of this store, as noise, are tones"


def test_streams_continue_where_the_state_is_carried(clips: tuple[Clips, Vocabulary]) -> None:
    assert not streams(clips).continues
    assert streams(clips, continues=True).continues


def test_statistics_normalise_the_frames(clips: tuple[Clips, Vocabulary]) -> None:
    source = streams(clips)
    mean, std, floor = source.statistics()
    frames = np.concatenate([np.maximum(source.stream(5, number)[0], floor) for number in range(300)])
    np.testing.assert_allclose(((frames - mean) / std).mean(axis=0), 0, atol=0.25)
    np.testing.assert_allclose(((frames - mean) / std).std(axis=0), 1, atol=0.2)


def test_features_that_do_not_add_up_are_refused(clips: tuple[Clips, Vocabulary]) -> None:
    everything, labels = clips
    for settings in (FeatureSettings(), replace(SETTINGS, deltas=1), replace(SETTINGS, normalise="utterance")):
        assert not for_streams(settings)
        with pytest.raises(OptionError, match="plain log-mel"):
            Streams(JoinedClips((everything,)), labels, settings, OPTIONS, batch_size=2, seed=0)
    with pytest.raises(OptionError, match="expected silence"):
        Streams(
            JoinedClips((everything,)), Vocabulary(("one", "three", "two")), SETTINGS, OPTIONS, batch_size=2, seed=0
        )


def test_usual_lengths_are_those_of_the_words(clips: tuple[Clips, Vocabulary]) -> None:
    found = word_seconds(*clips, SETTINGS)
    assert set(found) == {"one", "three", "two"}
    assert all(0.2 < seconds < 0.45 for seconds in found.values())  # words of 0.25 to 0.4 s


def energies(samples: np.ndarray) -> np.ndarray:
    return np.exp(extract_frames(samples.astype(np.float32), SETTINGS).astype(np.float64))


def test_energies_of_a_mixture_are_the_sum_on_average() -> None:
    draw = np.random.default_rng(DRAW)
    word = np.concatenate([spoken(word, 1, take) for word in range(3) for take in range(4)])
    for noise in (0.05 * draw.standard_normal(len(word)), 0.3 * np.resize(spoken(1, 3, 5), len(word))):
        together, apart = energies(word + noise), energies(word) + energies(noise)
        ratio = together.sum(axis=0) / apart.sum(axis=0)
        assert np.abs(np.log(ratio)).max() * DECIBELS < 1.5  # of each filter
        assert abs(np.log(together.sum() / apart.sum())) * DECIBELS < 0.5
        assert np.median(np.abs(np.log(together.sum(axis=1) / apart.sum(axis=1)))) * DECIBELS < 1.5  # of each frame


@pytest.mark.parametrize("decibels", [0.0, -20.0, -40.0])
def test_full_scale_is_the_level_of_noise(decibels: float) -> None:
    noise = 10 ** (decibels / 20) * np.random.default_rng(DRAW).standard_normal(5 * RATE)
    measured = np.log(energies(noise).sum(axis=1).mean())
    assert (measured - full_scale(SETTINGS)) * DECIBELS == pytest.approx(decibels, abs=0.2)


def test_a_sine_is_louder_by_its_amplitude() -> None:
    time = np.arange(2 * RATE) / RATE
    loud, quiet = (np.log(energies(size * np.sin(2 * np.pi * 1000 * time)).sum(axis=1)).mean() for size in (0.5, 0.05))
    assert (loud - quiet) * DECIBELS == pytest.approx(20.0, abs=0.01)
    # the power of a sine falls on few filters, that of noise on all and above them too: both within 5 decibels
    assert (loud - full_scale(SETTINGS)) * DECIBELS == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=5.0)


def test_the_word_in_a_clip_is_found() -> None:
    word = spoken(0, 2, 3)
    for before, behind in ((0.5, 0.2), (0.3, 0.8)):
        sound = np.concatenate([np.zeros(round(before * RATE)), word, np.zeros(round(behind * RATE))])
        sound += 1e-4 * np.random.default_rng(DRAW).standard_normal(len(sound))
        first, end = active_frames(extract_frames(sound.astype(np.float32), SETTINGS), SETTINGS)
        assert first * SETTINGS.frame_shift == pytest.approx(before, abs=0.05)
        assert end * SETTINGS.frame_shift == pytest.approx(before + len(word) / RATE, abs=0.05)


@pytest.mark.parametrize("kind", ["made up", "recorded"])
def test_a_room_sounds_after_the_sound_and_never_before(kind: str) -> None:
    draw = np.random.default_rng(DRAW)
    response = draw.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / (0.08 * RATE))
    response[0] = 4.0
    room = made_up_room(SETTINGS, draw) if kind == "made up" else recorded_room(response, SETTINGS)
    assert room.shape[1] == SETTINGS.mels and (room >= 0).all()
    power = np.zeros((40, SETTINGS.mels))
    power[10] = 1.0
    heard = in_room(power, room)
    assert not heard[:10].any()
    np.testing.assert_allclose(heard[10], room[0])
    assert (heard[11:14] > 0).all()
    later = np.zeros_like(power)
    later[20] = 2.0
    np.testing.assert_allclose(in_room(power + later, room), heard + in_room(later, room))
    np.testing.assert_allclose(in_room(later, room)[20:], 2 * heard[10:30])


def test_a_room_agrees_with_the_convolution_of_samples() -> None:
    draw = np.random.default_rng(DRAW)
    count = round(0.4 * RATE)
    response = np.concatenate([[3.0], 0.1 * draw.standard_normal(count) * np.exp(-np.arange(count) / (0.1 * RATE))])
    sound = np.concatenate([spoken(word, 1, take) for word in range(3) for take in range(3)])
    wet = np.convolve(sound, response)[: len(sound)]
    gain = np.square(response).sum()
    expected, found = energies(wet), in_room(energies(sound), recorded_room(response, SETTINGS)) * gain
    difference = np.log(found.sum(axis=1).mean() / expected.sum(axis=1).mean()) * DECIBELS
    assert abs(difference) < 2.0


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_lies_as_far_below_the_speech_as_asked(snr: float) -> None:
    draw = np.random.default_rng(DRAW)
    speech = energies(spoken(1, 0, 0))
    noise = at_snr(snr, level(speech), 37.0 * made_up_noise(200, SETTINGS.mels, draw))
    assert (level(speech) - np.log(noise.sum(axis=1).mean())) * DECIBELS == pytest.approx(snr, abs=1e-6)


def test_made_up_noise_has_a_mean_energy_of_one() -> None:
    for number in range(5):
        noise = made_up_noise(100, SETTINGS.mels, np.random.default_rng(number))
        assert (noise > 0).all()
        assert noise.sum(axis=1).mean() == pytest.approx(1.0)


def test_streams_of_a_batch_are_those_made_one_by_one(clips: tuple[Clips, Vocabulary]) -> None:
    augment = AugmentationOptions(frequency_masks=1).of_features(SETTINGS, 4)
    source = streams(clips, in_rooms=0.5, gated=0.5, augment=augment, batch_size=6)
    batch = next(iter(source.epoch(1, start=1)))
    assert batch.targets is not None and batch.weights is not None
    for row in range(6):
        frames, targets, weights = source.stream(1, 6 + row)
        np.testing.assert_array_equal(batch.inputs[:, row], frames)
        np.testing.assert_array_equal(batch.targets[:, row], targets)
        np.testing.assert_array_equal(batch.weights[:, row], weights)


def test_a_clip_of_a_stream_is_the_clip_changed_by_itself(clips: tuple[Clips, Vocabulary]) -> None:
    # one long clip without room, noise or gate: the stream is the clip as `augment` changes it, at a level
    augmenter = AugmentationOptions().of_features(SETTINGS, 4)
    assert augmenter is not None
    source = streams(clips, in_rooms=0.0, augment=augmenter)
    draw = np.random.default_rng(1)
    clip = source._word(3, 2, 0, draw)
    power = np.zeros((1, 200, SETTINGS.mels), dtype=np.float32)
    source._put([clip], power)
    draw = np.random.default_rng(1)
    name = f"{source.clips.name(3)} {draw.integers(1 << 32)}"
    energies = np.exp(augmenter(source.clips.frames(3), 0, name) + random_colour(SETTINGS.mels, 6.0, draw))
    energies *= np.exp(draw.uniform(*BETWEEN) / DECIBELS - level(energies[clip.first : clip.end]))
    np.testing.assert_allclose(power[0, 2 : 2 + len(energies)], energies, rtol=1e-4)
    assert not power[0, :2].any() and not power[0, 2 + len(energies) :].any()
