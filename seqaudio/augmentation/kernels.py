"""Augmentation of many clips and streams at once, compiled by numba. Importing this module imports numba.

Arithmetic is that of `frames.py` and `spectra.py`, in the same types and order where rounding shows, so results differ
from those in few last bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqaudio.jit import compiled, compiled_exactly

LEAST = 1e-30  # energy of silence, whose logarithm is taken


@compiled_exactly
def change(frames: Any, lengths: Any, peaks: Any, drawn: Any, noise: Any, result: Any) -> None:
    """The changes of `frames.augment` of log-mel frames of several clips, clip after clip.

    Args:
        frames: [sum of T, M] float32. lengths: [N, 2], T of each clip before and after.
        peaks: [M], hertz, of the filters.
        drawn: of each clip, the factor of all frequencies [N], added values [N, M] float32 twice, first frame and end
            of each mask [N, K, 2], and whether a filter is masked [N, M].
        noise: [sum of T', M] float32; without rows where there is none.
        result: [sum of T', M] float32, out.
    """
    factors, shifts, offsets, masks, hidden = drawn
    M = frames.shape[1]
    first, place = 0, 0
    mean, heard = np.empty(M, np.float32), np.empty(M, np.float32)
    before, weights = np.empty(M, np.int64), np.empty(M)
    for n in range(len(lengths)):
        T, longer = lengths[n]
        clip, out = frames[first : first + T], result[place : place + longer]
        _reading(peaks, factors[n], before, weights)
        step = (T - 1.0) / (longer - 1) if longer > 1 else 0.0
        for t in range(longer):
            position = T - 1.0 if t == longer - 1 and t else t * step
            here = int(position)
            after, weight = min(here + 1, T - 1), np.float32(position - here)
            for m in range(M):
                heard[m] = clip[here, m] + weight * (clip[after, m] - clip[here, m])
            for m in range(M):
                k = before[m]
                low = heard[k] * np.float32(1.0 - weights[m])
                # rounded once, as by the fused multiply-add of a matrix product
                above = np.float64(heard[min(k + 1, M - 1)]) * np.float64(np.float32(weights[m]))
                out[t, m] = np.float32(low + above) + shifts[n, m] + offsets[n, m]
        if len(noise):
            for t in range(longer):
                for m in range(M):
                    out[t, m] += noise[place + t, m]
        if masks.shape[1]:
            _mean_frame(out, mean)
            for k in range(masks.shape[1]):
                out[masks[n, k, 0] : masks[n, k, 1]] = mean
        if hidden[n].any():
            _mean_frame(out, mean)
            for t in range(longer):
                for m in range(M):
                    if hidden[n, m]:
                        out[t, m] -= out[t, m] - mean[m]
        first += T
        place += longer


@compiled_exactly
def _reading(peaks: Any, factor: float, before: Any, weights: Any) -> None:
    """Where each filter reads the energies of a speaker whose resonances lie at `factor` times their frequency."""
    M = len(peaks)
    k = 0
    for m in range(M):
        frequency = peaks[m] / factor
        while k < M - 1 and peaks[k + 1] <= frequency:
            k += 1
        if k == M - 1 or frequency <= peaks[0]:
            before[m], weights[m] = k, 0.0
            continue
        place = 1.0 / (peaks[k + 1] - peaks[k]) * (frequency - peaks[k]) + k
        before[m] = int(place)
        weights[m] = place - before[m]


@compiled_exactly
def _mean_frame(frames: Any, mean: Any) -> None:
    T, M = frames.shape
    mean[:] = frames[0]
    for t in range(1, T):
        for m in range(M):
            mean[m] += frames[t, m]
    for m in range(M):
        mean[m] /= np.float32(T)


@compiled
def colour(frames: Any, lengths: Any, waves: Any, strengths: Any, result: Any) -> None:
    """Add to the frames of each clip its random colour, strengths [N, W] times waves [W, M]; result: float64."""
    M = frames.shape[1]
    gain = np.empty(M)
    first = 0
    for n in range(len(lengths)):
        gain[:] = 0.0
        for w in range(len(waves)):
            for m in range(M):
                gain[m] += strengths[n, w] * waves[w, m]
        for t in range(first, first + lengths[n]):
            for m in range(M):
                result[t, m] = frames[t, m] + gain[m]
        first += lengths[n]


@compiled
def put(power: Any, lengths: Any, places: Any, levels: Any, loud_frames: int, streams: Any) -> None:
    """Put each clip of energies where it belongs, at its level, cut at the end of its stream.

    Args:
        power: [sum of T, M] float64, of clips that follow each other. lengths: [N].
        places: [N, 4], stream, first frame in it, first frame and end of the word within the clip.
        levels: [N], natural logarithm of the mean energy of the word's loudest frames. loud_frames: their number.
        streams: [B, T, M] float32, out.
    """
    M = power.shape[1]
    first = 0
    loudest = np.empty(loud_frames)
    for n in range(len(lengths)):
        stream, place, begin, end = places[n]
        loudest[:] = -1.0
        for t in range(first + begin, first + end):
            total = 0.0
            for m in range(M):
                total += power[t, m]
            least = loudest.argmin()
            loudest[least] = max(total, loudest[least])
        count = min(loud_frames, end - begin)
        mean = 0.0
        for k in range(loud_frames):
            mean += max(loudest[k], 0.0)
        scale = np.exp(levels[n] - np.log(max(mean / count, LEAST)))
        for t in range(min(lengths[n], streams.shape[1] - place)):
            for m in range(M):
                streams[stream, place + t, m] = power[first + t, m] * scale
        first += lengths[n]


@compiled
def reverberate(power: Any, room: Any, result: Any) -> None:
    """Energies [T, M] in a room [R, M], into `result` [T, M] float64."""
    T, M = power.shape
    for t in range(T):
        for m in range(M):
            result[t, m] = room[0, m] * power[t, m]
        for age in range(1, min(len(room), t + 1)):
            for m in range(M):
                result[t, m] += room[age, m] * power[t - age, m]


@compiled
def mix(sounds: Any, noise: Any, factors: Any, gates: Any, loudness: Any, result: Any) -> None:
    """(sounds + gated noise) at a loudness, in place of `result`, [B, T, M] float64 each.

    factors: [B], of the noise. gates: [B, T] float32. loudness: [B], a factor.
    """
    B, T, M = sounds.shape
    for b in range(B):
        for t in range(T):
            share = factors[b] * gates[b, t]
            for m in range(M):
                result[b, t, m] = (sounds[b, t, m] + noise[b, t, m] * share) * loudness[b]


@compiled_exactly
def loudest_stretch(
    energies: Any,
    loud_frames: int,
    floor_share: float,
    below_loudest: float,
    above_floor: float,
    least_range: float,
    gap: float,
    decibels: float,
) -> Any:
    """First frame and end of the loudest stretch that sounds, see `spectra.active_frames`; energies: [T], decibels."""
    T = len(energies)
    smooth = energies.copy()
    if loud_frames < T:
        for t in range(T):
            smooth[t] = 0.25 * energies[max(t - 1, 0)] + 0.5 * energies[t] + 0.25 * energies[min(t + 1, T - 1)]
    ordered = np.sort(smooth)
    loudest, count = 0.0, min(loud_frames, T)
    for t in range(T - count, T):
        loudest += ordered[t]
    loudest /= count
    floor = ordered[int(floor_share * (T - 1))]
    quiet = max(loudest - below_loudest, min(floor + above_floor, loudest - least_range))
    best, best_first, best_end = -1.0, 0, 0
    first, last = -1, -1  # of the stretch that goes on
    for t in range(T + 1):
        loud = t < T and smooth[t] >= quiet
        if last >= 0 and (t == T or (loud and t - last > gap)):
            total = 0.0
            for k in range(first, last + 1):
                total += np.exp(smooth[k] / decibels)
            if total > best:
                best, best_first, best_end = total, first, last + 1
            first = -1
        if loud:
            first, last = t if first < 0 else first, t
    return best_first, best_end
