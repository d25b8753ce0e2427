"""Window functions: how much each sample of a frame counts."""

from __future__ import annotations

import numpy as np

from seqaudio.features.settings import Window

# coefficients of sum_k (-1)^k a_k cos(2 pi k n / D)
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "rectangular": (1.0,)}
_POVEY = 0.85  # exponent that Kaldi raises a symmetric Hann window to


def window_function(name: Window, samples: int) -> np.ndarray:
    """The window w[n] of a frame, [W] float64.

        w[n] = sum_k (-1)^k a_k cos(2 pi k n / D)     D = W, periodic; D = W - 1, symmetric
        povey: symmetric hann^0.85

    hann and hamming are periodic, as for spectra that are summed over time; their `_symmetric` variants, blackman and
    povey are symmetric, as Kaldi's are.

    Source: Harris (1978); povey: Kaldi (Povey et al., 2011).
    """
    kind = {"povey": "hann"}.get(name, name.removesuffix("_symmetric"))
    periodic = name in ("hann", "hamming")
    phase = 2 * np.pi * np.arange(samples) / (samples if periodic else max(1, samples - 1))
    window = np.zeros(samples)
    for k, coefficient in enumerate(_COSINES[kind]):
        window += (-1) ** k * coefficient * np.cos(k * phase)
    # rounding may leave the ends a hair below 0
    return np.maximum(window, 0.0) ** _POVEY if name == "povey" else window
