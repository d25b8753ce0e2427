"""Cut samples into overlapping frames, and make the windows for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seqaudio.features.settings import FeatureSettings, Window


def cut_frames(samples: Tensor, settings: FeatureSettings) -> Tensor:
    """Frames [..., T, W] of recordings [..., N], T = settings.frames(N) > 0; a view where `edges` is none.

    edges   frame t holds                                                   as in
    none    samples t H .. t H + W - 1                                      here
    zeros   W samples around t H, zeros beyond the ends                     librosa
    reflect the same, the recording mirrored there, its ends not repeated   torchaudio
    mirror  W samples around (t + 1/2) H, mirrored with the ends repeated   Kaldi with snip_edges=false

    A frame of even length around n has sample W / 2 at n. For centred frames, a window shorter than the FFT is placed
    in the middle of its points, as in these libraries.
    """
    W, H = settings.window_samples, settings.hop_samples
    if settings.edges == "none":
        return samples.unfold(-1, W, H)
    N = samples.shape[-1]
    first = first_sample(settings)
    last = first + (settings.frames(N) - 1) * H + W - 1
    if settings.edges == "zeros":
        return functional.pad(samples, (-first, last + 1 - N)).unfold(-1, W, H)
    period = 2 * (N - 1) if settings.edges == "reflect" else 2 * N
    before, after = torch.arange(first, 0), torch.arange(N, last + 1)
    parts = [
        samples[..., _folded(before, period, N)],
        samples[..., max(0, first) : last + 1],
        samples[..., _folded(after, period, N)],
    ]
    return torch.cat(parts, dim=-1).unfold(-1, W, H)


def first_sample(settings: FeatureSettings) -> int:
    """Index of the first sample of the first frame; negative where the frame begins before the recording."""
    W, H = settings.window_samples, settings.hop_samples
    if settings.edges == "none":
        return 0
    if settings.edges == "mirror":
        return H // 2 - W // 2
    return (settings.fft_size - W) // 2 - settings.fft_size // 2


def _folded(places: Tensor, period: int, N: int) -> Tensor:
    """Map any index to 0 .. N - 1: beyond the ends the recording is mirrored, with the given period."""
    if period == 0:
        return torch.zeros_like(places)
    places = places % period
    mirrored = period - places if period == 2 * (N - 1) else period - 1 - places
    return torch.where(places < N, places, mirrored)


# coefficients of sum_k (-1)^k a_k cos(2 pi k n / D)
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "rectangular": (1.0,)}
_POVEY = 0.85  # exponent that Kaldi raises a symmetric Hann window to


def window_function(name: Window, samples: int) -> np.ndarray:
    """The window w[n] of a frame, [W] float64.

        w[n] = sum_k (-1)^k a_k cos(2 pi k n / D)     D = W, periodic; D = W - 1, symmetric
        povey: symmetric hann^0.85

    hann and hamming are periodic, as usual for spectra; their `_symmetric` variants, blackman and povey are symmetric,
    as in Kaldi.

    Source: Harris (1978); povey: Kaldi (Povey et al., 2011).
    """
    kind = {"povey": "hann"}.get(name, name.removesuffix("_symmetric"))
    periodic = name in ("hann", "hamming")
    phase = 2 * np.pi * np.arange(samples) / (samples if periodic else max(1, samples - 1))
    window = np.zeros(samples)
    for k, coefficient in enumerate(_COSINES[kind]):
        window += (-1) ** k * coefficient * np.cos(k * phase)
    # rounding may leave the ends slightly below 0
    return np.maximum(window, 0.0) ** _POVEY if name == "povey" else window
