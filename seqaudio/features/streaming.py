"""Extract features of a stream: samples come in chunks of any size, frames go out as soon as they are complete."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqaudio.features.deltas import DeltaStream
from seqaudio.features.extractor import FeatureExtractor
from seqaudio.features.framing import cut_frames
from seqaudio.features.normalisation import normalise_sliding
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Seconds


class StreamState(NamedTuple):
    """The state that is carried from chunk to chunk."""

    samples: Tensor  # [n] samples of frames that are not complete yet, n < W, the window
    deltas: tuple[Tensor | None, ...]  # frames held for each order of deltas, None before the first
    frames: Tensor  # [p, F] the last frames, for the sliding normalisation; empty where it is off


class Latency(NamedTuple):
    """Time from the first sample of a frame to the last sample that the frame and its deltas need."""

    samples: int
    seconds: Seconds


class StreamingExtractor:
    """Computes the frames that `FeatureExtractor` gives for the whole recording, while its samples arrive.

        stream = StreamingExtractor(feature_settings("default"))
        for chunk in microphone:
            use(stream.push(chunk))
        use(stream.finish())

    Without deltas a frame goes out with its last sample; each order of deltas waits for `delta_width` more frames.
    All that a stream carries is in `state`, which may be saved and restored.

    Args:
        settings: what to compute.
        dtype: of samples and frames.
    Raises:
        OptionError: the settings need the whole recording (`edges`, `top_db`, `normalise="utterance"`).
    """

    def __init__(self, settings: FeatureSettings, dtype: torch.dtype = torch.float32) -> None:
        settings.require_streaming("a stream")
        self.settings = settings
        self.extractor = FeatureExtractor(settings, dtype)
        self._orders = [DeltaStream(settings.static_size, settings.delta_width) for _ in range(settings.deltas)]
        self.reset()

    def reset(self) -> None:
        """Start a new recording."""
        samples = self.extractor.window.new_zeros(0)
        self.state = StreamState(samples, (None,) * self.settings.deltas, samples.new_zeros(0, self.settings.size))

    @property
    def latency(self) -> Latency:
        """W + deltas * delta_width * H samples: W the window, H the hop."""
        settings = self.settings
        samples = settings.window_samples + settings.lookahead * settings.hop_samples
        return Latency(samples, samples / settings.sample_rate)

    def push(self, samples: Tensor | np.ndarray) -> Tensor:
        """Take the next samples [n], n >= 0. Returns the frames that are complete now, [t, F], t >= 0.

        Raises:
            ValueError: samples of another type or number of dimensions.
        """
        chunk = torch.as_tensor(samples)
        if chunk.dim() != 1 or chunk.dtype != self.state.samples.dtype:
            raise ValueError(
                f"a chunk of shape {list(chunk.shape)} and {chunk.dtype}, expected [n] of {self.state.samples.dtype}"
            )
        static, rest = self._static(torch.cat([self.state.samples, chunk]))
        held = []
        for order, before in zip(self._orders, self.state.deltas, strict=True):
            static, after = order.push(before, static)
            held.append(after)
        frames, last_frames = self._normalised(static)
        self.state = StreamState(rest, tuple(held), last_frames)
        return frames

    def finish(self) -> Tensor:
        """The frames that waited for deltas, [t, F]; the next `push` starts a new recording."""
        frames = self.state.samples.new_zeros(0, self.settings.static_size)
        for order, before in zip(self._orders, self.state.deltas, strict=True):
            frames = order.finish(before, frames)
        frames, _ = self._normalised(frames)
        self.reset()
        return frames

    def _static(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [t, S] of the samples so far, and the samples that later frames need."""
        settings = self.settings
        count = settings.frames(len(samples))
        if not count:
            return samples.new_zeros(0, settings.static_size), samples
        static = self.extractor.static(cut_frames(samples[None], settings))[0]
        return static, samples[count * settings.hop_samples :].clone()

    def _normalised(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The frames, normalised where the settings say so, and the last frames, which the next ones need."""
        before = self.state.frames
        if self.settings.normalise != "sliding" or not len(frames):
            return frames, before
        window = self.settings.normalise_frames
        last_frames = torch.cat([before, frames])[-(window - 1) :]
        return normalise_sliding(frames, before, window), last_frames
