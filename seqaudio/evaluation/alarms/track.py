"""Tracks that detectors hear: words in background at a signal-to-noise ratio, and background alone, block by block.

    track = WordTrack(clips, files, 10.0, reader, seed=1)
    for block in track: ...             # samples [n] float32 at RATE
    track.places                        # the time of each word

Equal seeds give equal tracks. The time of a word in its gap, and the background under it, are the same at all ratios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.augmentation.acoustics import active_part, amplify, coloured, level, signal_to_noise
from seqaudio.errors import AudioError, SourceError
from seqaudio.evaluation.alarms.material import RATE, Clip, Reader, Word
from seqaudio.evaluation.ratios import CLEAN
from seqaudio.progress import Advance, say
from seqaudio.units import Decibels, Seconds

BLOCK = 10 * RATE  # samples handed out at most
SHORTEST_GAP: Seconds = 1.5  # before and after a clip: a hit may come 1 s after its word
LONGEST_GAP: Seconds = 4.0
HUSH: Decibels = -75.0  # noise in the gaps of a clean track and between files: no microphone gives zeros
PAUSE: Decibels = 10.0  # background that is so far below its own mean is a pause, and gives no ratio
SILENT: Decibels = -70.0  # background below this is silence, as the hush is
DRAWS = 20  # of the place of a clip in its background, to avoid pauses
PARTS = 200  # of background that may be silent, one after the other
RAMP: Seconds = 0.3  # in which the gain of the background changes from word to word
FULL = 10.0 ** (-1 / 20)  # peak of a mix


class Place(NamedTuple):
    """A word on a track."""

    clip: Clip
    start: Seconds
    end: Seconds
    clip_start: Seconds


class Span(NamedTuple):
    """A file of background on a track."""

    file: Path
    start: Seconds
    end: Seconds


class BackgroundTrack:
    """The files one after the other, with a short hush between them; `spans` grows while it is read.

    Files that cannot be read are named on stderr, and are in `left_out`.
    Raises SourceError, at the end, where no file could be read.
    """

    def __init__(self, files: Sequence[Path], reader: Reader, seed: int) -> None:
        self.files = files
        self.reader = reader
        self.seed = seed
        self.spans: list[Span] = []
        self.left_out: list[Path] = []

    @property
    def seconds(self) -> Seconds:
        """The length of the files that were read so far."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def done(self) -> int:
        """How many files were read or left out so far."""
        return len(self.spans) + len(self.left_out)

    def __iter__(self) -> Iterator[np.ndarray]:
        draw = np.random.default_rng((self.seed, 1))
        done = 0
        for file in self.files:
            try:
                samples = self.reader.read(file)
            except AudioError as error:
                self.left_out.append(file)
                say(f"warning: {error}; left out")
                continue
            hush = _hush(RATE // 2, draw)
            self.spans.append(Span(file, done / RATE, (done + len(samples)) / RATE))
            done += len(samples) + len(hush)
            for first in range(0, len(samples), BLOCK):
                yield samples[first : first + BLOCK]
            yield hush
        if not self.spans:
            raise SourceError(f"none of the {len(self.files)} files of background can be read; give others")

    def place(self, time: Seconds) -> tuple[Path, Seconds]:
        """The file that was heard at a time of the track, and the time in it."""
        starts = [span.start for span in self.spans]
        span = self.spans[max(0, int(np.searchsorted(starts, time, side="right")) - 1)]
        return span.file, min(time, span.end) - span.start


class WordTrack:
    """Each clip once, in a random order, with gaps of random length; `places` grows while it is read.

    Under the clips and in the gaps lies the background, as loud as the ratio over the word's active part asks for, or
    for CLEAN a faint noise. The word keeps its level; where the mix would exceed full scale, both become quieter.

    Args:
        files: of the background, repeated as often as needed.
        snr: decibels, or CLEAN.
    Raises:
        SourceError: no clip can be read, or the background is silent.
    """

    def __init__(self, clips: Sequence[Clip], files: Sequence[Path], snr: Decibels, reader: Reader, seed: int) -> None:
        self.clips = clips
        self.snr = snr
        self.reader = reader
        self.seed = seed
        self.background = _Endless(files, reader, seed)
        self.places: list[Place] = []
        self.left_out: list[Path] = []

    @property
    def done(self) -> int:
        """How many clips were read or left out so far."""
        return len(self.places) + len(self.left_out)

    def __iter__(self) -> Iterator[np.ndarray]:
        draw = np.random.default_rng((self.seed, 2))
        done, gain = 0, None
        for number in draw.permutation(len(self.clips)).tolist():
            clip = self.clips[number]
            gaps = np.random.default_rng((self.seed, 3, number))
            try:
                word = self.reader.word(clip)
            except AudioError as error:
                self.left_out.append(clip.file)
                say(f"warning: {error}; left out")
                continue
            samples, before, gain = self._mixed(word, gaps, gain)
            start = done + before
            self.places.append(Place(clip, (start + word.first) / RATE, (start + word.end) / RATE, start / RATE))
            done += len(samples)
            for first in range(0, len(samples), BLOCK):
                yield samples[first : first + BLOCK]
        if not self.places:
            raise SourceError(f"none of the {len(self.clips)} clips can be read; give others")
        yield _hush(2 * RATE, draw)

    def _mixed(self, word: Word, draw: np.random.Generator, gain: float | None) -> tuple[np.ndarray, int, float]:
        """A word in its background, the samples before the clip, and the gain of the background.

        gain: of the background before; None at the beginning.
        """
        before, after = (round(draw.uniform(SHORTEST_GAP, LONGEST_GAP) * RATE) for _ in range(2))
        total = before + len(word.samples) + after
        if self.snr == CLEAN:
            noise, now = _hush(total, draw), 1.0
        else:
            spoken = word.samples[word.first : word.end]
            noise, before = self._background(spoken, word.first, before, before + after, total, draw)
            under = noise[before + word.first :][: len(spoken)]
            now = 10.0 ** ((signal_to_noise(spoken, under) - self.snr) / 20)
        clean = np.zeros(total, dtype=np.float32)
        clean[before : before + len(word.samples)] = word.samples
        mixed = clean + now * noise
        quieter = min(1.0, FULL / float(np.abs(mixed).max()))
        now *= quieter
        mixed = quieter * clean + now * noise
        if gain is not None:  # the gain of the word before changes to the present one within the gap
            ramp = round(RAMP * RATE)
            mixed[:ramp] += noise[:ramp] * (np.geomspace(gain, now, ramp) - now)
        return np.clip(mixed, -1.0, 1.0).astype(np.float32), before, now

    def _background(
        self, spoken: np.ndarray, offset: int, before: int, gaps: int, total: int, draw: np.random.Generator
    ) -> tuple[np.ndarray, int]:
        """The next part of the background [total], and how many samples before the clip avoid a pause under the word.

        spoken: samples [n] of the word, `offset` of them behind the beginning of the clip.
        """
        active = active_part(spoken)
        shortest = round(SHORTEST_GAP * RATE)
        for _ in range(PARTS):
            noise = self.background.take(total)
            mean = level(noise)
            if mean < SILENT:
                continue
            found = []
            for _ in range(DRAWS):
                under = level(noise[before + offset :][: len(spoken)][active])
                found.append((under, before))
                if under >= mean - PAUSE:
                    return noise, before
                before = int(draw.integers(shortest, gaps - shortest + 1))
            under, before = max(found)
            if under >= SILENT:
                return noise, before
        raise SourceError("the background is silent almost everywhere, so no signal-to-noise ratio can be made with it")


def followed(track: BackgroundTrack | WordTrack, advance: Advance) -> Iterator[np.ndarray]:
    """The blocks of a track; each file that is done advances a progress bar."""
    before = 0
    for block in track:
        yield block
        if track.done > before:
            advance(track.done - before)
            before = track.done


class _Endless:
    """The background, again from the beginning where it ends."""

    def __init__(self, files: Sequence[Path], reader: Reader, seed: int) -> None:
        self._files, self._reader, self._seed = files, reader, seed
        self._blocks = self._repeated()
        self._rest = np.zeros(0, dtype=np.float32)

    def _repeated(self) -> Iterator[np.ndarray]:
        while True:
            yield from BackgroundTrack(self._files, self._reader, self._seed)

    def take(self, count: int) -> np.ndarray:
        """The next samples [count] float32."""
        parts, held = [self._rest], len(self._rest)
        while held < count:
            parts.append(next(self._blocks))
            held += len(parts[-1])
        samples = np.concatenate(parts)
        self._rest = samples[count:]
        return samples[:count]


def _hush(count: int, draw: np.random.Generator) -> np.ndarray:
    """Faint pink noise [count] float32."""
    noise = coloured(count, 1.0, RATE, draw).astype(np.float32)
    return amplify(noise, HUSH - level(noise))
