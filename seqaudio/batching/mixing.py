"""Streams made up of labelled clips: words among quiet, speech and noise, anew in each epoch.

Clips of a store are placed anywhere in a longer sound, changed by `augmentation/frames.py`, put into rooms and mixed
with noise as log-mel energies (`augmentation/spectra.py`). Clips of the class `silence` are noise under words, and
sound between them. A stream depends on (seed, epoch, number) alone. Subclasses add its targets: a label a frame
(`streams.py`), or a text (`text_streams.py`).
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from seqaudio.augmentation.draws import keyed_generator
from seqaudio.augmentation.frames import Changes, FeatureAugmenter, changed_clips
from seqaudio.augmentation.spectra import (
    DECIBELS,
    LOUD_FRAMES,
    active_frames,
    check_energies,
    colour_waves,
    drawn_colour,
    full_scale,
    in_room,
    level,
    made_up_noise,
    made_up_room,
    random_colour,
    snr_factor,
)
from seqaudio.batching.clips import JoinedClips
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Decibels, Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN, Vocabulary

OVERLAP: Seconds = 0.1  # of the next word that the target frames of a word may cover
LEAST_TARGETS = 4  # target frames of a word, even where they cover more of the next
LONG_PAUSES = 0.1  # share of the pauses
LONGEST_PAUSE: Seconds = 8.0
BETWEEN: tuple[Decibels, Decibels] = (-8.0, 4.0)  # level of a word beside the others of its stream
SPEECH_LEVEL: tuple[Decibels, Decibels] = (-20.0, 3.0)  # the same of other speech
SPEECH_SECONDS: tuple[Seconds, Seconds] = (0.2, 1.8)  # of a piece of other speech
QUIET: tuple[Decibels, Decibels] = (25.0, 60.0)  # signal-to-noise ratio of a stream without audible noise
LEVELS: tuple[Decibels, Decibels] = (-45.0, -8.0)  # dBFS of the loudest frames of a stream
NO_SPEECH = 0.15  # share of the sounds that are clips of the class silence, if the store has any
STOPS = 0.5  # share of the words at which a gated noise stops
STATISTICS_STREAMS = 256  # from which the mean and deviation of frames are taken
MICROPHONE: tuple[Decibels, Decibels] = (-80.0, -45.0)  # dBFS of the noise of a microphone
RANGE: Decibels = 35.0  # from the loudest frames down to that noise, at least
BELOW_LOUDEST: Decibels = 6.0  # from a word's loudest frames to its mean energy, to which signal-to-noise ratios refer


@dataclass(frozen=True, kw_only=True)
class MixingOptions:
    """Composition of made-up streams: words, pauses, other speech, noise, rooms."""

    GROUP: ClassVar[str] = "streams"

    stream_seconds: Seconds = 2.4  # of a stream; longer ones suit --bptt truncated
    pause: Seconds = 0.4  # mean pause between two words
    joined: float = 0.3  # share of words that follow without a pause
    other_speech: float = 0.3  # share of the sounds of a stream that are other speech, if there is any
    unknown_share: float = 0.4  # share of the words that are of the class unknown, if there is one
    hold: Seconds = 0.3  # the label of a word is the target for this time behind it
    without_noise: float = 0.2  # share of streams without audible noise
    gated: float = 0.2  # share of streams whose noise stops at some of the words, as where clips are put into noise
    speech_under: float = 0.3  # share of streams with noise in which it is other speech that lies under the words
    in_rooms: float = 0.3  # share of streams in a room
    cut_off: float = 0.1  # share of streams that begin or end in digital silence, as a recording does
    speech_folder: tuple[Path, ...] = ()  # folders or recordings of speech without keywords
    more_stores: tuple[Path, ...] = ()  # stores with the same features, whose training clips are used too
    more_share: float = 0.5  # share of the words that are taken from --more-stores


class Sounds(NamedTuple):
    """Sounds besides the words of the store, each as energies [T, M]."""

    speech: Sequence[np.ndarray] = ()  # without keywords: target `unknown`
    noises: Sequence[np.ndarray] = ()  # recorded noise; noise is made up otherwise, and sometimes even so
    rooms: Sequence[np.ndarray] = ()  # responses [R, M]; made up otherwise


class Word(NamedTuple):
    """A word placed in a stream: first frame, end (exclusive), label."""

    first: int
    end: int
    label: int


class _Clip(NamedTuple):
    """A clip of a word, and what was drawn for it."""

    frames: np.ndarray  # [T, M] as in its store
    changes: Changes
    colour: np.ndarray  # strengths of the waves of its random colour
    level: float  # natural logarithm of the energy of the word's loudest frames
    place: int  # its first frame in its stream
    first: int  # of the word within the clip, changed
    end: int
    stream: int = 0


class Mixed(NamedTuple):
    """A made-up stream without targets."""

    frames: np.ndarray  # [T, M] float32
    words: list[Word]  # in order
    background: np.ndarray  # [T] int64: label of each frame outside words: that of other speech or of silence
    first: int  # frame at which the sound begins
    end: int  # frame at which it ends (exclusive); before and after it there is digital silence
    talk: bool  # whether other speech lies under the words


class MixedStreams:
    """Made-up streams, without targets.

    Args:
        clips: labelled clips of log-mel frames. labels: of the model, with `silence`, and `unknown` where there is any.
        settings: of the features. options: see above. sounds: other speech, noises, rooms.
        augment: changes the frames of a clip, such as `AugmentationOptions.of_features`.
        batch_size: streams of a batch. seed: of all that is drawn.
        snr: signal-to-noise ratio of noisy streams, lowest and highest.
    Raises:
        OptionError: features that cannot be mixed, or labels without `silence`.
    """

    cut_words = 0.5  # share of the words across the end of a stream that are placed, and cut there

    def __init__(
        self,
        clips: JoinedClips,
        labels: Vocabulary,
        settings: FeatureSettings,
        options: MixingOptions,
        *,
        batch_size: int,
        seed: int,
        sounds: Sounds = Sounds(),  # noqa: B008  # immutable
        augment: FeatureAugmenter | None = None,
        snr: tuple[Decibels, Decibels] = (0.0, 25.0),
    ) -> None:
        check_energies(settings)
        if SILENCE not in labels:
            raise OptionError(f"labels {', '.join(labels)}, expected {SILENCE} among them, the target of pauses")
        self.clips = clips
        self.labels = labels
        self.settings = settings
        self.options = options
        self.sounds = sounds
        self.augment = augment
        self.batch_size = batch_size
        self.seed = seed
        self.snr = snr
        self.silence = labels.index(SILENCE)
        self.reject = labels.index(UNKNOWN) if UNKNOWN in labels else self.silence  # target of other speech
        self.frames = max(1, round(options.stream_seconds / settings.frame_shift))
        self._reference = full_scale(settings)
        self._rows = [np.flatnonzero(clips.labels == label) for label in range(len(labels))]
        self._label_bounds = _bounds(self._label_chances())
        self._rows_of_stores = [self._by_store(rows) for rows in self._rows]
        self._places: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Batches in which about as many words are placed as the store has."""
        words = int((self.clips.labels != self.silence).sum())
        seconds = float(np.mean(self.clips.lengths)) * self.settings.frame_shift
        a_word = seconds + self.options.pause * (1 - self.options.joined)
        return max(1, round(words * a_word / (self.options.stream_seconds * self.batch_size)))

    def mixed(self, epoch: int, number: int) -> Mixed:
        """One stream, without its targets."""
        return self.mixed_streams(epoch, [number])[0]

    def mixed_streams(self, epoch: int, numbers: Sequence[int]) -> list[Mixed]:
        """Several streams, without their targets: all is drawn in turn, then all are computed at once."""
        shape = (len(numbers), self.frames, self.settings.mels)
        sounds, noise, hiss = np.zeros(shape, dtype=np.float32), np.empty(shape), np.empty(shape)
        factors, gates, loudness = np.empty(len(numbers)), np.empty(shape[:2], dtype=np.float32), np.empty(len(numbers))
        rooms: dict[int, np.ndarray] = {}
        clips: list[_Clip] = []
        about = []
        for b, number in enumerate(numbers):
            draw = keyed_generator((self.seed, epoch, f"stream {number}"))
            background, words, own = self._sounds(epoch, draw, sounds[b])
            clips += [clip._replace(stream=b) for clip in own]
            first, end = self._recording(words, draw)
            noise[b], snr, talk = self._noise(draw)
            factors[b] = snr_factor(snr + BELOW_LOUDEST, 0.0, noise[b])
            gates[b] = self._gate(words, draw)
            if draw.random() < self.options.in_rooms:
                rooms[b] = self._room(draw)
            loudness[b] = self._microphone(draw, hiss[b])
            about.append((words, background, first, end, talk))
        self._put(clips, sounds)
        frames = self._recorded(sounds, rooms, noise, factors, gates, loudness, hiss)
        streams = [Mixed(recorded, *rest) for recorded, rest in zip(frames, about, strict=True)]
        for stream in streams:
            stream.frames[: stream.first] = stream.frames[stream.end :] = np.log(self.settings.floor)
        return streams

    def spans(self, words: list[Word]) -> list[tuple[int, int]]:
        """First frame and end (exclusive) of the frames after each word in which it counts as just heard."""
        hold, overlap = (round(time / self.settings.frame_shift) for time in (self.options.hold, OVERLAP))
        found = []
        for number, word in enumerate(words):
            following = words[number + 1].first + overlap if number + 1 < len(words) else self.frames
            end = min(self.frames, word.end + hold, max(following, word.end + LEAST_TARGETS))
            found.append((word.end, end))
        return found

    def _gate(self, words: list[Word], draw: np.random.Generator) -> np.ndarray:
        """Where the noise of a stream sounds: 1, and 0 at words where it stops, [T]."""
        gate = np.ones(self.frames, dtype=np.float32)
        if draw.random() < self.options.gated:
            for word in words:
                if draw.random() < STOPS:
                    before, behind = draw.exponential(OVERLAP / self.settings.frame_shift, size=2).astype(int)
                    gate[max(0, word.first - before) : word.end + behind] = 0.0
        return gate

    def _recording(self, words: list[Word], draw: np.random.Generator) -> tuple[int, int]:
        """First frame and end of the sound of a stream; before and behind it there is digital silence."""
        first, end = 0, self.frames
        if words and draw.random() < self.options.cut_off:
            margin = round(draw.exponential(OVERLAP) / self.settings.frame_shift)
            if draw.random() < 0.5:
                first = max(0, words[0].first - margin)
            else:
                end = min(end, words[-1].end + margin)
        return first, end

    def _label_chances(self) -> np.ndarray:
        """How often words of each label are placed, [C]: keywords equally often."""
        chances = np.array([float(len(rows) > 0) for rows in self._rows])
        chances[self.silence] = 0.0
        if chances[self.reject]:
            others = chances.sum() - 1.0
            share = self.options.unknown_share if others else 1.0
            chances *= (1.0 - share) / max(others, 1.0)
            chances[self.reject] = share
        if not chances.sum():
            raise OptionError("the store has no words to place in streams; give one with keywords")
        result: np.ndarray = chances / chances.sum()
        return result

    def _sounds(
        self, epoch: int, draw: np.random.Generator, power: np.ndarray
    ) -> tuple[np.ndarray, list[Word], list[_Clip]]:
        """Labels [T] of what is not a word, the words, and their clips; writes other sounds into `power` [T, M]."""
        options = self.options
        background = np.full(self.frames, self.silence, dtype=np.int64)
        words: list[Word] = []
        clips: list[_Clip] = []
        place = self._pause(draw)
        while place < self.frames:
            if self.sounds.speech and draw.random() < options.other_speech:
                sound = self._speech(draw)[: self.frames - place]
                energies = sound.sum(axis=1)
                heard = energies > energies.max(initial=0.0) * 10.0 ** (-25.0 / 10)
                background[place : place + len(sound)][heard] = self.reject
                power[place : place + len(sound)] = sound
                length = len(sound)
            elif len(self._rows[self.silence]) and draw.random() < NO_SPEECH:
                sound = self._silence(draw)[: self.frames - place]
                power[place : place + len(sound)] = sound * np.exp(
                    draw.uniform(*SPEECH_LEVEL) / DECIBELS - level(sound)
                )
                length = len(sound)
            else:
                label = bisect.bisect_right(self._label_bounds, draw.random())
                clip = self._word(self._row(label, draw), place, epoch, draw)
                if place + clip.end > self.frames and draw.random() < 1.0 - self.cut_words:
                    break
                words.append(Word(place + clip.first, place + clip.end, label))
                clips.append(clip)
                length = clip.changes.frames
            place += length + (0 if draw.random() < options.joined else self._pause(draw))
        return background, words, clips

    def _by_store(self, rows: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
        """The rows of each store, and the bounds of the shares with which the stores are drawn, for `_row`."""
        stores = range(len(self.clips.parts))
        of_stores = [rows[self.clips.store[rows] == store] for store in stores]
        shares = _store_chances(self.clips, self.options.more_share)
        chances = np.where([len(part) > 0 for part in of_stores], shares, 0.0)
        return _bounds(chances / max(chances.sum(), 1e-300)), of_stores

    def _silence(self, draw: np.random.Generator) -> np.ndarray:
        """Energies [T, M] of a clip of the class silence: background, which may be loud."""
        frames = self.clips.frames(self._row(self.silence, draw))
        power: np.ndarray = np.exp(frames + random_colour(self.settings.mels, 6.0, draw))
        return power

    def _pause(self, draw: np.random.Generator) -> int:
        """Frames of a pause; a few are long, as in a quiet room."""
        seconds = draw.exponential(self.options.pause)
        if draw.random() < LONG_PAUSES:
            seconds = draw.uniform(0.0, min(LONGEST_PAUSE, self.options.stream_seconds / 2))
        return int(seconds / self.settings.frame_shift)

    def _row(self, label: int, draw: np.random.Generator) -> int:
        """A row of a label, of a store that is drawn first."""
        bounds, rows = self._rows_of_stores[label]
        chosen = rows[bisect.bisect_right(bounds, draw.random())]
        return int(chosen[draw.integers(len(chosen))])

    def _word(self, row: int, place: int, epoch: int, draw: np.random.Generator) -> _Clip:
        """A clip, and what is drawn for it."""
        frames = self.clips.frames(row)
        if row not in self._places:
            self._places[row] = active_frames(frames, self.settings)
        first, end = self._places[row]
        count = len(frames)
        changes = Changes(count)
        if self.augment is not None:
            changes = self.augment.drawn(count, epoch, f"{self.clips.name(row)} {draw.integers(1 << 32)}")
            first, end = first * changes.frames // count, -(-end * changes.frames // count)
        colour = drawn_colour(6.0, draw)
        return _Clip(frames, changes, colour, draw.uniform(*BETWEEN) / DECIBELS, place, first, end)

    def _put(self, clips: Sequence[_Clip], power: np.ndarray) -> None:
        """Write the energies of clips into those of their streams, [B, T, M] float32."""
        from seqaudio.augmentation import kernels

        if not clips:
            return
        lengths = np.array([clip.changes.frames for clip in clips])
        frames = changed_clips([clip.frames for clip in clips], [clip.changes for clip in clips], self.settings)
        energies = np.empty(frames.shape)
        strengths = np.stack([clip.colour for clip in clips])
        kernels.colour(frames, lengths, colour_waves(self.settings.mels), strengths, energies)
        np.exp(energies, out=energies)
        places = np.array([(clip.stream, clip.place, clip.first, clip.end) for clip in clips])
        kernels.put(energies, lengths, places, np.array([clip.level for clip in clips]), LOUD_FRAMES, power)

    def _speech(self, draw: np.random.Generator) -> np.ndarray:
        """Energies [T, M] of a piece of other speech at its level in the stream."""
        whole = self.sounds.speech[int(draw.integers(len(self.sounds.speech)))]
        count = min(len(whole), max(1, round(draw.uniform(*SPEECH_SECONDS) / self.settings.frame_shift)))
        start = int(draw.integers(len(whole) - count + 1))
        part = whole[start : start + count]
        scaled: np.ndarray = part * np.exp(draw.uniform(*SPEECH_LEVEL) / DECIBELS - level(part))
        return scaled

    def _room(self, draw: np.random.Generator) -> np.ndarray:
        rooms = self.sounds.rooms
        return rooms[int(draw.integers(len(rooms)))] if rooms else made_up_room(self.settings, draw)

    def _microphone(self, draw: np.random.Generator, hiss: np.ndarray) -> float:
        """The natural logarithm of a stream's level; writes that of a microphone's noise into `hiss` [T, M]."""
        loudest = draw.uniform(*LEVELS)
        own = draw.uniform(MICROPHONE[0], min(MICROPHONE[1], loudest - RANGE)) / DECIBELS
        draw.standard_normal(out=hiss)
        hiss *= 0.3
        hiss += own + self._reference - np.log(self.settings.mels)
        return float(self._reference + loudest / DECIBELS)

    def _recorded(
        self,
        sounds: np.ndarray,
        rooms: Mapping[int, np.ndarray],
        noise: np.ndarray,
        factors: np.ndarray,
        gates: np.ndarray,
        loudness: np.ndarray,
        hiss: np.ndarray,
    ) -> np.ndarray:
        """Log-mel frames [B, T, M] float32 of energies of sounds: in rooms, in noise, at a level, with a microphone's
        noise.

        rooms: of some of the streams. factors: [B], of their noise, which sounds where gates [B, T] are 1.
        """
        from seqaudio.augmentation import kernels

        heard = sounds.astype(np.float64)
        for b, room in rooms.items():
            heard[b] = in_room(sounds[b], room)
        kernels.mix(heard, noise, factors, gates, np.exp(loudness), heard)
        heard += np.exp(hiss, out=hiss)
        frames: np.ndarray = np.log(heard, out=heard).astype(np.float32)
        return frames

    def statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, standard deviation and floor of the frames of streams, [M] float32 each, for `set_normalisation`.

        The floor is the quietest microphone's noise; digital silence counts as that.
        """
        mels = self.settings.mels
        floor = MICROPHONE[0] / DECIBELS + self._reference - np.log(mels)
        streams = [stream.frames for stream in self.mixed_streams(0, range(STATISTICS_STREAMS))]
        frames = np.maximum(np.concatenate(streams), floor).astype(np.float64)
        found = frames.mean(axis=0), frames.std(axis=0), np.full(mels, floor)
        mean, std, lowest = (values.astype(np.float32) for values in found)
        return mean, std, lowest

    def _noise(self, draw: np.random.Generator) -> tuple[np.ndarray, Decibels, bool]:
        """Energies [T, M] of what lies under the words, its ratio to them, and whether it is audible speech."""
        if draw.random() < self.options.without_noise:
            return made_up_noise(self.frames, self.settings.mels, draw), draw.uniform(*QUIET), False
        snr = draw.uniform(*self.snr)
        if draw.random() < self.options.speech_under and (talk := self._talk(draw)) is not None:
            return talk, snr, True
        noises = self.sounds.noises
        if len(self._rows[self.silence]) and draw.random() < (0.35 if noises else 0.7):
            return self._cut(self._silence(draw), draw), snr, False
        if not noises or draw.random() < 0.3:
            return made_up_noise(self.frames, self.settings.mels, draw), snr, False
        return self._cut(noises[int(draw.integers(len(noises)))], draw), snr, False

    def _talk(self, draw: np.random.Generator) -> np.ndarray | None:
        """Energies [T, M] of speech without keywords; None where there is none."""
        if self.sounds.speech and draw.random() < 0.7:
            return self._cut(self.sounds.speech[int(draw.integers(len(self.sounds.speech)))], draw)
        rows = self._rows[self.reject] if self.reject != self.silence else ()
        if not len(rows):
            return None
        parts, frames = [], 0
        while frames < self.frames:
            parts.append(np.exp(self.clips.frames(self._row(self.reject, draw))))
            frames += len(parts[-1])
        return np.concatenate(parts)[: self.frames]

    def _cut(self, noise: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A stretch [T, M] of recorded energies, which are repeated where they are shorter."""
        if len(noise) < self.frames:
            noise = np.resize(noise, (self.frames, noise.shape[1]))
        start = int(draw.integers(len(noise) - self.frames + 1))
        return noise[start : start + self.frames]


def _bounds(chances: np.ndarray) -> list[float]:
    """The bounds between which a uniform draw takes each of several, as by `Generator.choice` with these chances."""
    bounds = np.cumsum(chances)
    found: list[float] = (bounds / max(bounds[-1], 1e-300)).tolist()
    return found


def _store_chances(clips: JoinedClips, more_share: float) -> np.ndarray:
    """How often words are taken from each store: the first one's share, and equal shares of the others."""
    others = len(clips.parts) - 1
    return np.array([1.0 - more_share if others else 1.0, *[more_share / max(others, 1)] * others])
