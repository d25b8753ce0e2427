"""Noise reduction and gain control of log-mel energies, channel by channel, as front ends of microcontrollers do it.

That front end (`micro_frontend` of TensorFlow Lite) counts in integers, from samples of 16 bits; here its steps are
computed from log-mel energies, in which streams are mixed. Where it rounds down, half a unit is subtracted, so all is
continuous. tests/test_micro_export.py says how close the two are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.layers.decayed_sums import decayed_sums
from seqaudio.units import Seconds

STEP: Seconds = 0.01  # from one frame of the front end to the next
EVEN, ODD = 0.025, 0.06  # share of a frame in the noise of channels 0, 2, .. and 1, 3, ..
REMAINS = 0.05  # share of the signal that noise reduction leaves
UNITS = 4096.0  # its root of an energy, for full scale 1: 2^15 / 512 points, times the root of its filters' 2^12
GAIN, OFFSET, STRENGTH = 2.0**21, 80.0, 0.95
MOST_GAIN = 32767.0
NOISE_UNITS, SNR_UNITS, OUTPUT_UNITS, LOG_UNITS = 8.0, 2.0**18, 64.0, 8.0
HALF = 0.5  # what rounding down takes away on average
SHRINK = 0.25  # so that values are around 1


def noise_reduced(frames: Tensor, steps: float, before: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Frames after noise reduction and gain control, and the noise after each.

        e_t = 4096 exp(x_t / 2)                                    root of the energy
        n_t = (1 - a)^k n_{t-1} + (1 - (1 - a)^k) e_t              noise; a of the channel, k steps a frame
        s_t = max(e_t - min(n_t, e_t), 0.05 e_t)
        r_t = s_t (8 n_t + 80)^-0.95 2^21 / 2^18
        y_t = ln(1 + 8 (64 g(r_t) - 1/2)) / 4                      g(r) = r^2 / 4 below 2, r - 1 above

    Args:
        frames: log-mel energies, natural logarithms of power for full scale 1, [T, B, F].
        steps: frames of the front end, 10 ms each, from one of these to the next.
        before: the noise before the first frame, [B, F]; 0 at the start of a stream.
        resets: [T, B] bool; where true, the noise is 0 before step t.
    Returns:
        y and n, [T, B, F] each; y is 0 where nothing is heard but noise, and at most 2.7.

    Source: Wang et al. (2017), Trainable frontend; the constants are those of ESPHome's wake words.
    """
    roots = _roots(frames)
    sums = []
    for first, share in enumerate((EVEN, ODD)):
        decay = (1.0 - share) ** steps
        sums.append(decayed_sums((1.0 - decay) * roots[..., first::2], decay, before[..., first::2], resets))
    noise = torch.empty_like(roots)
    noise[..., 0::2], noise[..., 1::2] = sums
    return _gained(roots, noise), noise


def noise_reduced_step(frame: Tensor, steps: float, before: Tensor) -> tuple[Tensor, Tensor]:
    """The same of one frame [B, F], in operations that can be recorded."""
    roots = _roots(frame)
    decays = frame.new_tensor([(1.0 - (EVEN, ODD)[place % 2]) ** steps for place in range(frame.shape[-1])])
    noise = decays * before + (1.0 - decays) * roots
    return _gained(roots, noise), noise


def _roots(frames: Tensor) -> Tensor:
    return torch.relu(UNITS * torch.exp(0.5 * frames) - HALF)


def _gained(roots: Tensor, noise: Tensor) -> Tensor:
    signal = torch.relu(torch.maximum(roots - torch.minimum(noise, roots), REMAINS * roots) - HALF)
    gain = (GAIN * torch.exp(-STRENGTH * torch.log(NOISE_UNITS * noise + OFFSET))).clamp(max=MOST_GAIN)
    ratio = signal * gain / SNR_UNITS
    shrunk = torch.where(ratio < 2.0, 0.25 * ratio * ratio, ratio - 1.0)
    return SHRINK * torch.log(1.0 + LOG_UNITS * torch.relu(OUTPUT_UNITS * shrunk - HALF))
