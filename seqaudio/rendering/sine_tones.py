"""Render notes as sums of sines, without a SoundFont."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.rendering.expression import expressions_of

PARTIALS = (1.0, 0.5, 0.25, 0.12, 0.06)  # amplitudes of the fundamental and its overtones
ATTACK = 0.005  # seconds, a linear rise
RELEASE = 0.12  # seconds after the note's end, a linear fall
DECAY = 1.2  # seconds in which middle C falls to 1/e; half of that an octave higher
DRUM_DECAY = 0.05  # seconds
LOW_DRUMS = (35, 36, 41, 43, 45, 47, 48, 50, 61, 64, 66)  # General MIDI's bass drums, toms, low bongo, conga, timbale
MIN_NOTE = 0.02  # seconds
WIDTH = 0.6  # of the stereo image: 0 all tracks in the middle, 1 the outer tracks hard left and right


def sine_tones(notes: NoteSequence, sample_rate: int) -> npt.NDArray[np.float32]:
    """Samples [N, 2] of a piece up to the end of the last release; not normalised.

        x(t) = (velocity / 127)^2 e(t) sum_k a_k exp(-k t / d) sin(2 pi k f t),   d = DECAY * 261.6 Hz / f

    e(t) is attack and release. Partials at or above half the sample rate are left out. Percussion is noise. Tracks are
    panned from left to right at constant power, unless a controller pans them. Gains and bends come from
    `expressions_of`.
    """
    total = int(np.ceil((notes.duration + MIN_NOTE + RELEASE) * sample_rate)) + 1
    mix = np.zeros((total, 2), dtype=np.float32)
    sides = _sides(_spread(len(notes.track_names)))
    expressions = expressions_of(notes)
    columns = (notes.start, notes.end, notes.pitch, notes.velocity, notes.track, notes.is_drum)
    for start, end, pitch, velocity, track, drum in zip(*(column.tolist() for column in columns), strict=True):
        first = round(start * sample_rate)
        held = max(end - start, MIN_NOTE)
        time = np.arange(min(round((held + RELEASE) * sample_rate), total - first)) / sample_rate
        played = expressions[track]
        gain, pan, bend = (
            None if curve is None else curve.over(start, len(time), sample_rate)
            for curve in (played.gain, played.pan, played.bend)
        )
        tone = _drum(pitch, time, sample_rate) if drum else _tone(pitch, time, sample_rate, bend)
        tone *= (velocity / 127) ** 2 * np.minimum(1.0, np.minimum(time / ATTACK, (held + RELEASE - time) / RELEASE))
        if gain is not None:
            tone *= gain
        own = sides[track] if pan is None else _sides(np.asarray(pan))
        mix[first : first + len(time)] += (tone[:, None] * own).astype(np.float32)
    return mix


def _tone(
    pitch: int, time: npt.NDArray[np.float64], sample_rate: int, bend: npt.NDArray[np.float64] | float | None
) -> npt.NDArray[np.float64]:
    """A tone at times [N]; `bend`: cents, one number or [N]."""
    frequency = 440.0 * 2.0 ** ((pitch - 69) / 12)
    phase, highest = frequency * time, frequency
    if bend is not None:
        ratio = np.broadcast_to(2.0 ** (np.asarray(bend) / 1200), time.shape)
        phase, highest = frequency * (np.cumsum(ratio) - ratio) / sample_rate, frequency * float(ratio.max(initial=1.0))
    decay = DECAY * 261.63 / frequency
    tone = np.zeros_like(time)
    for number, amplitude in enumerate(PARTIALS, start=1):
        if number * highest < sample_rate / 2:
            tone += amplitude * np.exp(-number * time / decay) * np.sin(2 * np.pi * number * phase)
    return tone


def _drum(pitch: int, time: npt.NDArray[np.float64], sample_rate: int) -> npt.NDArray[np.float64]:
    """Decaying noise, the same for the same drum; smoothed over 3 ms for low drums."""
    noise = np.random.default_rng(pitch).standard_normal(len(time)) * np.exp(-time / DRUM_DECAY)
    smooth = round(0.003 * sample_rate) if pitch in LOW_DRUMS else 1
    return np.convolve(noise, np.full(smooth, smooth**-0.5), mode="full")[: len(time)]


def _spread(tracks: int) -> npt.NDArray[np.float64]:
    """The place of each track [tracks], from -1 (left) to 1."""
    return np.linspace(-WIDTH, WIDTH, tracks) if tracks > 1 else np.zeros(1)


def _sides(pan: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Left and right gain [..., 2] of places [...]; their squares sum to 1."""
    angle = (pan + 1) * np.pi / 4
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)
