"""Render notes to samples, with a SoundFont or else with sine tones, and write samples to a WAV file."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from seqaudio.audio import resample
from seqaudio.errors import OptionError, SeqAudioError
from seqaudio.files import write_bytes
from seqaudio.notes.operations.timing import apply_pedals
from seqaudio.notes.sequence import NoteSequence
from seqaudio.rendering.expression import not_played
from seqaudio.rendering.sine_tones import sine_tones
from seqaudio.rendering.soundfont import SoundFont, fit_programs, general_midi_soundfont
from seqaudio.rendering.soundfont_player import MAX_NOTE, PLAYING_RATE, play

SAMPLE_RATE = 44_100  # hertz
SAMPLE_RATES = range(8000, 192_001)
MAX_DURATION = 3600.0  # seconds
PEAK = 10 ** (-1 / 20)  # -1 dBFS
FADE_IN, FADE_OUT = 0.002, 0.05  # seconds
INAUDIBLE = 10 ** (-70 / 20)  # amplitude relative to the peak

Samples = npt.NDArray[np.float32]


def render(notes: NoteSequence, sample_rate: int = SAMPLE_RATE, soundfont: Path | None = None) -> Samples:
    """Samples [N, 2] of a piece, left and right, with the peak at -1 dBFS. Equal notes give equal samples.

    The sound begins at tick 0, with a fade-in of 2 ms against clicks, and ends when the last note has died away, at
    most 6 s after its end. The instruments are those of `soundfont`, by default those of the General MIDI SoundFont
    in the package pretty_midi. Programs that a SoundFont lacks are played by its lowest program, and notes longer than
    a minute are released after a minute, both with a warning on stderr. Where the default SoundFont cannot be played,
    `sine_tones` plays instead, also with a warning. Sustain pedals hold notes; volume, pan, expression and bends are
    played if `read_midi` was asked for them; a warning names others that should be heard, such as modulation.

    Raises:
        OptionError: no notes, a piece of more than an hour, a sample rate (hertz) outside 8000..192000, a `soundfont`
            that cannot be played or has no sound for any of the notes.
    """
    if sample_rate not in SAMPLE_RATES:
        raise OptionError(
            f"sample rate {sample_rate} Hz, expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz, such as {SAMPLE_RATE}"
        )
    if not len(notes):
        raise OptionError("the piece has no notes, so there is nothing to render")
    if notes.duration > MAX_DURATION:
        raise OptionError(
            f"the piece lasts {notes.duration:,.0f} s, expected at most {MAX_DURATION:,.0f} s; cut it first"
        )
    if len(notes.pedals):
        notes = apply_pedals(notes)
    if left_out := not_played(notes):
        _warn(f"not played: {left_out}")
    if soundfont is not None:
        return _finished(_play(notes, sample_rate, soundfont), notes.duration, sample_rate)
    try:
        samples = _play(notes, sample_rate, general_midi_soundfont())
    except SeqAudioError as error:
        _warn(f"{error}; rendering with sine tones instead")
        samples = sine_tones(notes, sample_rate)
        if not samples.any():
            raise OptionError(
                f"every note lies above {sample_rate / 2:g} Hz, half the sample rate, and is inaudible; raise the rate"
            ) from None
    return _finished(samples, notes.duration, sample_rate)


def write_wav(path: Path | str, samples: Samples, sample_rate: int = SAMPLE_RATE) -> None:
    """Write the bytes that `wav_bytes` gives. No partial file is left behind.

    Raises:
        ValueError: as `wav_bytes`.
        OSError: the folder is missing or may not be written to.
    """
    write_bytes(Path(path), wav_bytes(samples, sample_rate))


def wav_bytes(samples: Samples, sample_rate: int = SAMPLE_RATE) -> bytes:
    """A WAV file of samples [N] or [N, channels], full scale -1..1, as 16-bit PCM.

    Raises ValueError for a sample beyond full scale, which would be clipped, or one that is not finite.
    """
    peak = _peak(samples)
    if not peak <= 1.0:
        raise ValueError(f"samples up to {peak:g}, expected at most 1; scale them first")
    content = io.BytesIO()
    soundfile.write(content, samples, sample_rate, subtype="PCM_16", format="WAV")
    return content.getvalue()


def _play(notes: NoteSequence, sample_rate: int, path: Path) -> Samples:
    """Samples [N, 2] up to the end of the last release. Raises OptionError where the SoundFont cannot play them."""
    font = SoundFont(path)
    fitting, remarks = fit_programs(notes, font)
    if not len(fitting):
        raise OptionError(f"{path}: has no instrument for any note of the piece; try another SoundFont")
    samples = play(fitting, font)
    if not samples.any():
        raise OptionError(f"{path}: has no sound for any note of the piece; try another SoundFont")
    if held := int(np.count_nonzero(notes.end - notes.start > MAX_NOTE)):
        remarks.append(f"{held:,} of {len(notes):,} notes last longer than {MAX_NOTE:.0f} s and are released then")
    for remark in remarks:
        _warn(remark)
    if sample_rate == PLAYING_RATE:
        return samples
    return np.asarray(resample(samples, PLAYING_RATE, sample_rate), dtype=np.float32)


def _finished(samples: Samples, duration: float, sample_rate: int) -> Samples:
    """Samples cut after the last audible one, but not before the last note's end; faded and normalised in place."""
    peak = _peak(samples)
    end = int(np.ceil(duration * sample_rate))
    audible = np.flatnonzero(np.abs(samples[end:]).max(axis=1) > INAUDIBLE * peak)
    fade_in, fade_out = round(FADE_IN * sample_rate), round(FADE_OUT * sample_rate)
    finished = samples[: end + (int(audible[-1]) + 1 + fade_out if len(audible) else 0)]
    finished[:fade_in] *= _rise(fade_in)
    finished[-fade_out:] *= _rise(fade_out)[::-1]
    finished *= np.float32(PEAK / _peak(finished))
    return finished


def _peak(samples: Samples) -> float:
    """The largest absolute value, computed without copying the samples; NaN propagates."""
    return float(np.maximum(samples.max(initial=0.0), -samples.min(initial=0.0)))


def _rise(count: int) -> Samples:
    """Half a cosine from 0 up to 1, [count, 1]."""
    return (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, count)))[:, None].astype(np.float32)


def _warn(line: str) -> None:
    print(f"warning: {' '.join(line.split())}", file=sys.stderr, flush=True)
