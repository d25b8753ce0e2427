"""Band limits: the frequency above which a recording is empty, and groups of recordings that differ in it.

MP3 at a low bitrate cuts sound at 6 kHz, a telephone at 4 kHz, while other recordings reach half their rate. Where the
labels of a training set differ in that, a model can tell them apart by the band alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from seqaudio.audio.reading import read_audio
from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.terminal import few
from seqaudio.units import Decibels, Hertz, Seconds

FRAME: Seconds = 0.032
MOST_FRAMES = 2000  # evenly spread over a longer recording
LOUD = 0.95  # quantile over time of a bin's energy: a click fills fewer frames, a consonant more
SMOOTHED = 5  # bins that a median is taken over
FALL: Decibels = 20.0  # a band that was cut falls by more
WITHIN = 0.03  # of half the rate: the filter of a codec or a resampler falls within less, a voice does not
RANGE: Decibels = 90.0  # below the loudest bin: what is weaker still is not told apart
EMPTY: Decibels = 50.0  # below the loudest bin, at least: what is louder above a fall is noise that a model hears
FLAT: Decibels = 15.0  # what is above a cut differs by less, as it is noise of one level
LOWEST: Hertz = 1000.0  # a fall below that is the end of a hum or of a voice, not of a band

CUT = 0.9  # of the others' limit: a recording below it counts as cut
DIFFERENT = 0.25  # difference of the shares of cut recordings between two groups
FEWEST = 3  # cut recordings that are not chance
BELOW = 0.99  # of the lowest limit: filters end there, at whole hundreds of hertz
SHOWN = 3  # groups that a line names


def band_limit(samples: np.ndarray, sample_rate: int) -> Hertz:
    """The frequency above which samples [N] are empty, in hertz; half the rate where the band is not cut.

    A band is cut where the level falls by 20 dB within 3 % of half the rate, and is flat and 50 dB or more
    below the loudest frequency from there on. The level of a frequency is a high quantile over the frames, so neither a
    click nor a pause changes it. NaN for a recording that is silent or shorter than four frames, 0.08 s.
    """
    points = int(2 ** round(math.log2(sample_rate * FRAME)))
    if len(samples) < 2.5 * points:
        return math.nan
    frames = np.lib.stride_tricks.sliding_window_view(samples, points)[:: points // 2]
    frames = frames[:: 1 + (len(frames) - 1) // MOST_FRAMES]
    frames = frames[np.abs(frames).max(axis=1) > 0]
    if len(frames) < 4:
        return math.nan
    window = np.hanning(points + 1)[:-1].astype(np.float32)
    energies = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
    levels = 10 * np.log10(np.quantile(energies, LOUD, axis=0) + 1e-30)
    around = np.pad(levels, SMOOTHED // 2, mode="edge")
    levels = np.median(np.lib.stride_tricks.sliding_window_view(around, SMOOTHED), axis=1)
    levels = np.maximum(levels, levels.max() - RANGE)
    place = _last_fall(levels, math.ceil(LOWEST * points / sample_rate))
    return sample_rate / 2 if place is None else place * sample_rate / points


def _last_fall(levels: np.ndarray, lowest: int) -> int | None:
    """The bin from `lowest` on above which levels [K], in decibels, are empty; None where no band is cut."""
    step = max(2, round(WITHIN * len(levels)))
    loudest_from = np.maximum.accumulate(levels[::-1])[::-1]  # of each bin and those above it
    falls = np.flatnonzero(levels[:-step] - loudest_from[step:] >= FALL)
    if not len(falls) or falls[-1] < lowest:
        return None
    last = int(falls[-1])
    above = levels[last + step :]
    if levels.max() - above.max() < EMPTY:
        return None
    if above.max() - np.median(above) > FLAT:  # a hum or a whistle stands out, and the sound goes on above it
        return None
    # the edge lies between both: the highest bin that is nearer to the sound than to the noise
    edge = levels[last : last + step] - above.max()
    return last + int(np.flatnonzero(edge >= FALL / 2)[-1])


def band_limits(paths: Iterable[Path | str], max_seconds: Seconds = MAX_SECONDS) -> list[Hertz]:
    """The band limit of each recording, in hertz; NaN for silent ones. Raises AudioError as `read_audio` does."""
    recordings = (read_audio(path, max_seconds=max_seconds) for path in paths)
    return [band_limit(recording.samples, recording.sample_rate) for recording in recordings]


def band_limit_of(paths: Path | str | Iterable[Path | str], max_seconds: Seconds = MAX_SECONDS) -> Hertz:
    """The band limit of one recording, or the median of several, in hertz; NaN where all are silent.

    Raises AudioError as `read_audio` does.
    """
    limits = band_limits([paths] if isinstance(paths, Path | str) else paths, max_seconds)
    known = [limit for limit in limits if not math.isnan(limit)]
    return float(np.median(known)) if known else math.nan


def tell_bands(groups: Mapping[str, Sequence[Hertz]], top: Hertz = math.inf) -> str:
    """A line that says which groups, such as labels, are cut below the others; empty where none is.

    Groups differ where the shares of their recordings that are cut differ by a quarter or more.

    Args:
        groups: the band limits of the recordings of each group; NaN is left out.
        top: what a model hears at most, such as the upper edge of the filters; bands do not differ above it.
    """
    heard = {name: np.minimum([limit for limit in limits if limit == limit], top) for name, limits in groups.items()}
    heard = {name: limits for name, limits in heard.items() if len(limits)}
    if len(heard) < 2:
        return ""
    reach = max(float(np.median(limits)) for limits in heard.values())
    cut = {name: limits[limits < CUT * reach] for name, limits in heard.items()}
    shares = {name: len(cut[name]) / len(heard[name]) for name in heard}
    least = min(shares.values())
    found = [name for name in heard if shares[name] - least >= DIFFERENT and len(cut[name]) >= FEWEST]
    if not found:
        return ""
    medians = {name: float(np.median(cut[name])) for name in found}
    found.sort(key=lambda name: (medians[name], name))
    named = few((_with_share(name, shares[name]) for name in found), SHOWN)
    lowest, highest = (f"{1e-3 * edge(medians.values()):.1f}" for edge in (min, max))
    where = lowest if lowest == highest else f"{lowest} to {highest}"
    below = 100 * math.floor(BELOW * min(medians.values()) / 100)
    return (
        f"{named} {'is' if len(found) == 1 else 'are'} cut at {where} kHz, the others reach {1e-3 * reach:.1f} kHz: a "
        f"model can tell them apart by that alone; prepare with --features ...+high={below}, so that it hears the same "
        f"band of all"
    )


def _with_share(name: str, share: float) -> str:
    return name if share == 1 else f"{name} ({100 * share:.0f} % of its recordings)"
