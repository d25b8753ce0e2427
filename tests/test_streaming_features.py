"""A stream gives the frames of the whole recording, whatever the chunks, and no later than it says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.errors import OptionError
from seqaudio.features import PRESETS, FeatureExtractor, StreamingExtractor, feature_settings
from seqaudio.features.normalisation import normalise_sliding, normalise_utterance

SPECS = [
    "default",
    "asr",
    "hello_edge",
    "default+deltas=1",
    "keywords+deltas=2+delta_width=3",
    "default+energy=true+lifter=22+pre_emphasis=0.97+remove_mean=true+deltas=2",
    "log_mel+spectrum=magnitude+decibels=true+equal_area=true+window=povey",
]
CHUNKS = st.lists(st.integers(0, 5000), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sound(samples: int, seed: int = 1) -> torch.Tensor:
    """Noise under a changing level with digital silence in it, so that the floor matters; [N] float64."""
    draw = np.random.default_rng(seed)
    level = 10 ** np.interp(np.arange(samples), [0, samples / 2, samples], [-0.5, -4, -1])
    values = level * draw.standard_normal(samples)
    values[samples // 3 : samples // 2] = 0
    return torch.from_numpy(values)


def streamed(stream: StreamingExtractor, samples: torch.Tensor, chunks: list[int]) -> torch.Tensor:
    """All frames, with chunks of those sizes and one of the rest."""
    parts, start = [], 0
    for size in (*chunks, len(samples)):
        parts.append(stream.push(samples[start : start + size]))
        start += size
    return torch.cat([*parts, stream.finish()])


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=25)
@given(samples=st.integers(0, 6000), chunks=CHUNKS)
def test_any_chunks_give_the_frames_of_the_whole(spec: str, samples: int, chunks: list[int]) -> None:
    features, x = feature_settings(spec), sound(samples)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-4)):
        frames = streamed(StreamingExtractor(features, dtype), x.to(dtype), chunks)
        assert frames.shape == (features.frames(samples), features.size)
        if len(frames):
            whole = FeatureExtractor(features, dtype)(x.to(dtype))
            torch.testing.assert_close(frames, whole, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
def test_a_stream_whose_frames_are_no_whole_samples_gives_the_same(rate: int) -> None:
    features, x = feature_settings("default+deltas=1", rate), sound(20_000)
    frames = streamed(StreamingExtractor(features, torch.float64), x, [7, 5000, 1101, 0, 3])
    torch.testing.assert_close(frames, FeatureExtractor(features, torch.float64)(x), rtol=0, atol=1e-12)


def test_a_stream_of_single_samples_gives_the_same() -> None:
    features, x = feature_settings("default+deltas=2"), sound(1500)
    frames = streamed(StreamingExtractor(features, torch.float64), x, [1] * 1500)
    torch.testing.assert_close(frames, FeatureExtractor(features, torch.float64)(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_the_first_frame_is_out_after_the_latency_and_not_a_sample_earlier(spec: str) -> None:
    stream = StreamingExtractor(feature_settings(spec))
    x = sound(stream.latency.samples).float()
    assert len(stream.push(x[:-1])) == 0
    assert len(stream.push(x[-1:])) == 1


@pytest.mark.parametrize(("spec", "samples"), [("default", 400), ("default+deltas=2", 400 + 4 * 160)])
def test_the_latency_is_the_frame_and_what_its_deltas_wait_for(spec: str, samples: int) -> None:
    assert StreamingExtractor(feature_settings(spec)).latency == (samples, samples / 16000)


@pytest.mark.parametrize("spec", ["default+deltas=2", "default+normalise=sliding+normalise_frames=7"])
def test_a_stream_goes_on_from_its_state(spec: str) -> None:
    features, x = feature_settings(spec), sound(6000)
    first, second = (StreamingExtractor(features, torch.float64) for _ in range(2))
    before = first.push(x[:3001])
    second.state = first.state
    first.push(sound(2000, seed=2))  # what the first hears meanwhile changes nothing
    frames = torch.cat([before, second.push(x[3001:]), second.finish()])
    torch.testing.assert_close(frames, FeatureExtractor(features, torch.float64)(x), rtol=0, atol=1e-8)


def test_after_its_end_a_stream_begins_anew() -> None:
    features, x = feature_settings("default+deltas=1+normalise=sliding"), sound(3000)
    stream = StreamingExtractor(features, torch.float64)
    streamed(stream, sound(2000, seed=5), [70])
    torch.testing.assert_close(streamed(stream, x, []), FeatureExtractor(features, torch.float64)(x), rtol=0, atol=1e-8)


def test_a_stream_keeps_less_than_a_frame_of_samples() -> None:
    stream = StreamingExtractor(feature_settings("default"))
    stream.push(torch.zeros(10_000))
    assert len(stream.state.samples) < 400


def test_numpy_chunks_are_taken_too() -> None:
    assert StreamingExtractor(feature_settings("default")).push(np.zeros(400, np.float32)).shape == (1, 13)


@pytest.mark.parametrize("chunk", [torch.zeros(3, dtype=torch.float64), torch.zeros(2, 3), np.zeros(3, np.int16)])
def test_other_types_and_shapes_are_refused(chunk: torch.Tensor | np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \[n\] of torch.float32"):
        StreamingExtractor(feature_settings("default")).push(chunk)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("librosa", "edges=zeros and top_db=80.0"),
        ("torchaudio", "edges=reflect and top_db=80.0"),
        ("kaldi", "edges=mirror"),
        ("default+normalise=utterance", "normalise=utterance"),
    ],
)
def test_features_of_whole_recordings_refuse_to_stream(spec: str, named: str) -> None:
    with pytest.raises(OptionError) as caught:
        StreamingExtractor(feature_settings(spec))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_other_presets_stream() -> None:
    for name in set(PRESETS) - {"librosa", "torchaudio", "kaldi"}:
        assert StreamingExtractor(feature_settings(name)).latency.samples > 0


# normalisation


def test_an_utterance_has_mean_zero_and_deviation_one() -> None:
    frames = FeatureExtractor(feature_settings("default+deltas=1+normalise=utterance"), torch.float64)(sound(8000))
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(26).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(frames.std(dim=0, correction=0), torch.ones(26).double(), rtol=0, atol=1e-12)


@given(frames=st.integers(1, 150), window=st.integers(2, 40))
@settings(max_examples=30)
def test_a_sliding_frame_is_relative_to_those_just_heard(frames: int, window: int) -> None:
    x = np.random.default_rng(frames).normal(size=(frames, 3)) * 5 - 70
    result = normalise_sliding(torch.from_numpy(x), torch.zeros(0, 3).double(), window).numpy()
    for t in range(frames):
        heard = x[max(0, t - window + 1) : t + 1]
        expected = (x[t] - heard.mean(axis=0)) / np.maximum(heard.std(axis=0), 1e-3)
        np.testing.assert_allclose(result[t], expected, rtol=0, atol=1e-9)
    assert np.abs(result).max() < np.sqrt(window)


def test_a_constant_feature_stays_near_zero() -> None:
    frames = torch.full((50, 2), -145.6)
    assert normalise_utterance(frames).abs().max() < 1e-6
    assert normalise_sliding(frames, frames[:0], 9).abs().max() < 1e-6


def test_the_sliding_window_moves_on_over_chunks() -> None:
    features, x = feature_settings("default+normalise=sliding+normalise_frames=10"), sound(9000)
    frames = streamed(StreamingExtractor(features, torch.float64), x, [500, 0, 333, 4000, 17])
    torch.testing.assert_close(frames, FeatureExtractor(features, torch.float64)(x), rtol=0, atol=1e-8)
