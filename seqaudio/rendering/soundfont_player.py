"""Play notes on a SoundFont: samples looped, tuned, filtered and shaped by envelopes.

Not implemented: reverb, chorus, modulators other than that of velocity on volume, and the release of the modulation
envelope. symusic's player is not used because it ignores velocities and plays most SoundFonts at wrong pitches.
Source: E-mu Systems (2006), SoundFont Technical Specification 2.04, sections 8 and 9.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.progress import progress
from seqaudio.rendering.expression import Curve, Expression, expressions_of
from seqaudio.rendering.soundfont import OPEN_FILTER, Envelope, Oscillator, SoundFont, Zone

PLAYING_RATE = 44_100  # hertz, of the samples that `play` returns
MIN_NOTE, MAX_NOTE = 0.01, 60.0  # seconds; a longer note is released after that
MAX_RELEASE = 6.0  # seconds
CHOKED_RELEASE = 0.05  # seconds, for a note that is ended by another of its exclusive class
SILENT = 80.0  # decibels below the peak at which a release ends
FRAME, HOP = 512, 256  # samples; the filter is constant within a frame
FRAMES_AT_ONCE = 2048  # limits the memory that a long note takes
SAMPLES_AT_ONCE = 1 << 18

_Floats = npt.NDArray[np.float64]
_Group = dict[tuple[int, int], list["_Voice"]]  # by zone (its id) and key


@dataclass
class _Voice:
    """One note played by one zone."""

    start: float  # seconds
    held: float  # seconds
    velocity: int
    release: float  # seconds for 100 dB
    expression: Expression  # of its track

    @property
    def seconds(self) -> float:
        """Its length with its release."""
        return self.held + min(self.release * SILENT / 100, MAX_RELEASE)

    def choke(self, time: float) -> None:
        """Release it quickly at `time` (seconds), if it still sounds then."""
        if time < self.start + self.seconds:
            self.held, self.release = min(self.held, time - self.start), CHOKED_RELEASE


def play(notes: NoteSequence, font: SoundFont) -> npt.NDArray[np.float32]:
    """Samples [N, 2] at 44,100 hertz, up to 6 s after the last note's end; not normalised.

    The SoundFont must have each (program, is_drum) of the notes; `fit_programs` ensures that. Notes longer than 60 s
    are released after 60 s. A voice is

        x(t) = (velocity / 127)^2  10^(-attenuation / 20)  v(t)  (f * s)(t)

    with volume envelope v, low-pass filter f and looped sample s, times the gain of its track (`expressions_of`).

    Raises OptionError where samples that are needed are compressed or not in the file.
    """
    instruments = {
        (program, drum): font.zones(program, drum)
        for program, drum in sorted(set(zip(notes.program.tolist(), notes.is_drum.tolist(), strict=True)))
    }
    total = round((notes.duration + MAX_RELEASE) * PLAYING_RATE)
    mix = np.zeros((total, 2), dtype=np.float32)
    zones = {id(zone): zone for of_instrument in instruments.values() for zone in of_instrument}
    grouped = _voices(notes, instruments)
    with progress("rendering", sum(map(len, grouped.values())), "voices") as advance:
        # notes of one zone and key share one sound; only velocity and length differ
        for (zone_id, key), voices in grouped.items():
            _add(mix, zones[zone_id], key, voices)
            advance(len(voices))
    return mix


def _add(mix: npt.NDArray[np.float32], zone: Zone, key: int, voices: list[_Voice]) -> None:
    """Add all notes of one zone and key to the mix [N, 2]."""
    lengths = [round(voice.seconds * PLAYING_RATE) for voice in voices]
    bends = [_over(voice.expression.bend, voice, length) for voice, length in zip(voices, lengths, strict=True)]
    straight = [length for length, bend in zip(lengths, bends, strict=True) if bend is None]
    shared = _sound(zone, key, max(straight)) if straight else np.zeros(0)
    for voice, length, bend in zip(voices, lengths, bends, strict=True):
        sound = shared if bend is None else _sound(zone, key, length, bend)
        first = round(voice.start * PLAYING_RATE)
        count = min(length, len(sound), len(mix) - first)
        gain = (voice.velocity / 127) ** 2 * 10 ** (-zone.attenuation / 20)
        shaped = gain * _volume(zone.volume_envelope, key, voice, count) * sound[:count]
        if (level := _over(voice.expression.gain, voice, count)) is not None:
            shaped *= level
        pan = _over(voice.expression.pan, voice, count)
        angle = (np.clip(zone.pan + (0.0 if pan is None else pan), -1, 1) + 1) * np.pi / 4
        sides = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)  # [2] or [count, 2]
        mix[first : first + count] += shaped.astype(np.float32)[:, None] * sides


def _over(curve: Curve | None, voice: _Voice, count: int) -> _Floats | float | None:
    return None if curve is None else curve.over(voice.start, count, PLAYING_RATE)


def _voices(notes: NoteSequence, instruments: dict[tuple[int, bool], list[Zone]]) -> _Group:
    """The voices of all notes, by zone and key."""
    grouped: _Group = defaultdict(list)
    expressions = expressions_of(notes)
    last: dict[tuple[int, ...], list[_Voice]] = {}  # by exclusive class: voices that the next note of the class ends
    columns = (notes.start, notes.end, notes.pitch, notes.velocity, notes.track, notes.program, notes.is_drum)
    for start, end, pitch, velocity, *part in zip(*(column.tolist() for column in columns), strict=True):
        classes: dict[tuple[int, ...], list[_Voice]] = defaultdict(list)
        for zone in instruments[part[1], part[2]]:
            if not zone.keys[0] <= pitch <= zone.keys[1] or not zone.velocities[0] <= velocity <= zone.velocities[1]:
                continue
            key = pitch if zone.fixed_key < 0 else zone.fixed_key
            loud = velocity if zone.fixed_velocity < 0 else zone.fixed_velocity
            held = min(max(end - start, MIN_NOTE), MAX_NOTE)
            voice = _Voice(start, held, loud, zone.volume_envelope.release, expressions[part[0]])
            grouped[id(zone), key].append(voice)
            if zone.exclusive:
                classes[*part, zone.exclusive].append(voice)
        for kind, voices in classes.items():
            for before in last.get(kind, ()):
                before.choke(start)
            last[kind] = voices
    return grouped


def _sound(zone: Zone, key: int, count: int, bend: _Floats | float = 0.0) -> _Floats:
    """The sample at the pitch of a key, looped and filtered, before the volume envelope: at most `count` samples.

    `bend`: cents, one number or [count].
    """
    cents = np.clip((key - zone.root) * zone.scale + zone.tuning, -12_000, 12_000)
    parts = []
    position = 0.0
    for first in range(0, count, SAMPLES_AT_ONCE):
        time = np.arange(first, min(first + SAMPLES_AT_ONCE, count)) / PLAYING_RATE
        bent = cents + zone.envelope_pitch * _modulation(zone.modulation_envelope, key, time)
        bent = bent + (bend[first : first + len(time)] if isinstance(bend, np.ndarray) else bend)
        for oscillator in zone.oscillators:
            bent = bent + oscillator.pitch * _triangle(oscillator, time)
        steps = zone.rate / PLAYING_RATE * 2.0 ** (np.clip(bent, -14_400, 14_400) / 1200)
        ends = position + np.cumsum(steps)
        parts.append(_read(zone, ends - steps))
        position = float(ends[-1])
        if len(parts[-1]) < len(time):
            break
    sound = np.concatenate(parts)
    sound = _filtered(zone, key, sound)
    for oscillator in zone.oscillators:
        if oscillator.volume:
            sound *= 10 ** (oscillator.volume * _triangle(oscillator, _times(len(sound))) / 20)
    return sound


def _times(count: int) -> _Floats:
    return np.arange(count) / PLAYING_RATE


def _read(zone: Zone, positions: _Floats) -> _Floats:
    """The sample at fractional positions, by cubic Hermite interpolation; it ends early if it has no loop."""
    samples = zone.samples
    if zone.loop is None:
        positions = positions[: int(np.searchsorted(positions, len(samples) - 1))]
    before = np.floor(positions).astype(np.int64)
    x = positions - before
    a, b, c, d = (_at(samples, zone.loop, before + offset) for offset in (-1, 0, 1, 2))
    slope, rest = (c - a) / 2, (d - b) / 2
    return b + x * (slope + x * (3 * (c - b) - 2 * slope - rest + x * (2 * (b - c) + slope + rest)))


def _at(samples: npt.NDArray[np.int16], loop: tuple[int, int] | None, index: npt.NDArray[np.int64]) -> _Floats:
    if loop is not None:
        first, end = loop
        index = np.where(index < end, index, first + (index - first) % (end - first))
    return samples[np.clip(index, 0, len(samples) - 1)] / 32_768


def _filtered(zone: Zone, key: int, sound: _Floats) -> _Floats:
    """A two-pole low-pass filter with a moving cutoff, applied to overlapping frames by its magnitude response.

    |H|^2 = g / ((1 - r^2)^2 + r^2 / q^2),   r = f / cutoff,   q = 10^(resonance / 20) / sqrt 2
    """
    moves = zone.envelope_cutoff or any(oscillator.cutoff for oscillator in zone.oscillators)
    if not len(sound) or (zone.cutoff >= OPEN_FILTER and not moves):
        return sound
    frames = -(-len(sound) // HOP) + 1
    padded = np.zeros((frames + 1) * HOP)
    padded[HOP : HOP + len(sound)] = sound
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)  # windows half a frame apart sum to 1
    q = 10 ** (zone.resonance / 20) / np.sqrt(2)
    frequency = np.fft.rfftfreq(2 * FRAME, 1 / PLAYING_RATE)
    result = np.zeros((frames + 3, HOP))  # a filtered frame extends by half a frame on both sides
    views = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    for first in range(0, frames, FRAMES_AT_ONCE):
        part = views[first : first + FRAMES_AT_ONCE] * window
        time = _times(first + len(part))[first:] * HOP  # of the middle of each frame
        cents = zone.cutoff + zone.envelope_cutoff * _modulation(zone.modulation_envelope, key, time)
        for oscillator in zone.oscillators:
            cents = cents + oscillator.cutoff * _triangle(oscillator, time)
        cutoff = 8.176 * 2 ** (np.clip(cents, 1_500, OPEN_FILTER) / 1200)
        r2 = (frequency / cutoff[:, None]) ** 2
        magnitude = np.sqrt(10 ** (-zone.resonance / 20) / ((1 - r2) ** 2 + r2 / q**2))
        magnitude[cents >= OPEN_FILTER] = 1.0
        filtered = np.fft.irfft(np.fft.rfft(part, n=2 * FRAME) * magnitude)
        # the part before the frame has wrapped around to the end
        pieces = np.roll(filtered, HOP, axis=1).reshape(len(part), 4, HOP)
        for piece in range(4):
            result[first + piece : first + piece + len(part)] += pieces[:, piece]
    return result.ravel()[2 * HOP : 2 * HOP + len(sound)]


def _volume(envelope: Envelope, key: int, voice: _Voice, count: int) -> _Floats:
    """Amplitude [count]: attack linear, decay and release linear in decibels."""
    time = _times(count)
    held = int(np.searchsorted(time, voice.held))
    amplitude = _level(envelope, key, time[:held])
    release = max(voice.release, 0.005)  # a shorter release would click
    fall = 10 ** (-5 * (time[held:] - voice.held) / release)
    return np.concatenate([amplitude, _level(envelope, key, np.array([voice.held])) * fall])


def _level(envelope: Envelope, key: int, time: _Floats) -> _Floats:
    """Amplitude before release."""
    rise = np.clip((time - envelope.delay) / max(envelope.attack, 1e-6), 0.0, 1.0)
    top = envelope.delay + envelope.attack + _for_key(envelope.hold, envelope.hold_cents, key)
    down = _for_key(envelope.decay, envelope.decay_cents, key) * envelope.sustain / 100
    decibels = np.interp(time, [top, top + max(down, 1e-6)], [0.0, -envelope.sustain])
    return np.asarray(rise * 10 ** (decibels / 20))


def _modulation(envelope: Envelope, key: int, time: _Floats) -> _Floats:
    """The modulation envelope, 0..1, all its segments linear; no release."""
    rise = np.clip((time - envelope.delay) / max(envelope.attack, 1e-6), 0.0, 1.0)
    top = envelope.delay + envelope.attack + _for_key(envelope.hold, envelope.hold_cents, key)
    decay = max(_for_key(envelope.decay, envelope.decay_cents, key), 1e-6)
    return np.asarray(rise * np.clip(1 - (time - top) / decay, envelope.sustain, 1.0))


def _for_key(seconds: float, timecents: float, key: int) -> float:
    return float(seconds * 2.0 ** (np.clip(timecents * (60 - key), -12_000, 12_000) / 1200))


def _triangle(oscillator: Oscillator, time: _Floats) -> _Floats:
    phase = np.maximum(time - oscillator.delay, 0.0) * oscillator.frequency
    return np.asarray(1 - np.abs((4 * phase + 3) % 4 - 2))
