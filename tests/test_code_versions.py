"""Versions of the code of features, tokens and MIDI: whoever changes their bytes is told to raise one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

import seqaudio.audio.reading
import seqaudio.midi.reading
from seqaudio.audio import read_audio
from seqaudio.features import FeatureSettings, feature_settings
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import VERSIONS
from seqaudio.midi import read_midi
from seqaudio.notes import NoteSequence
from seqaudio.prepare.engine.code_versions import code_versions
from seqaudio.prepare.engine.plan import process_fingerprint
from seqaudio.prepare.music import piece_facts
from seqaudio.prepare.music.options import note_description
from seqaudio.prepare.speech.recordings import speech_description
from seqaudio.store import StoreDescription
from seqaudio.tokens.representation import REPRESENTATIONS, build_representation

CLOSE = {"rtol": 2e-4, "atol": 2e-3}  # the last bits differ between processors

# projections of features of `spoken`: (version of the code, the values)
FEATURES = {
    "default": (1, (624.0, -30.237, -14.596, 139.573)),
    "log_mel": (1, (1920.0, -28.865, -88.471, 12.821)),
    "default+deltas=2+normalise=sliding": (1, (1872.0, -4.876, -8.852, 24.768)),
    "librosa": (1, (320.0, -55.525, -0.011, -18.972)),
    "kaldi": (1, (650.0, 131.691, -49.975, -42.008)),
}
SAMPLES = (2, (5805.0, 10.769, 6.176, -0.475))
NOTES = (2, "408705a7db4c913560cd4ee1311a2a35")
TOKENS = {
    "bars": (1, "6a0e59a973238e94"),
    "chorale": (2, "6ae81842992c0604"),
    "chorale_grid": (2, "f3cd53fb411c1545"),
    "melody": (1, "6ffbfc2e745bf40a"),
    "miditok": (1, "a6c5aed80d5943f3"),
    "performance": (1, "fd01238323f33050"),
    "roll": (1, "974d6ef1231c91f5"),
    "tonicnet": (1, "8b592f6eb8cfe4ad"),
    "tonicnet_notes": (1, "a3765afdd269a47a"),
}


def stale(what: str, where: str, found: object) -> str:
    return (
        f"{what} differs from before: if that is meant, raise its version, {where}, so that no store mixes both, and "
        f"write here {found!r}"
    )


def spoken() -> np.ndarray:
    """A gliding sound with some noise, half a second at 16 kHz, [N] float32."""
    time = np.arange(8000) / 16000
    noise = np.sin(1e4 * np.arange(8000.0) ** 2 % 7)  # not drawn: generators may change
    return (0.3 * np.sin(2 * np.pi * (200 + 400 * time) * time) + 0.02 * noise).astype(np.float32)


def projected(values: np.ndarray) -> tuple[float, ...]:
    """Three numbers that change with any value of an array."""
    flat = values.astype(np.float64).reshape(-1)
    places = np.arange(len(flat))
    waves = [np.cos(0.7 * wave * places + wave) for wave in (1, 2, 3)]
    return (float(len(flat)), *(round(float(np.sum(flat * wave)), 3) for wave in waves))


def tune() -> NoteSequence:
    """Four voices with triplets, a rest, a change of tempo, drums and velocities."""
    starts = [0, 480, 640, 800, 960, 1920, 0, 960, 0, 960, 0, 480, 960, 0, 960]
    lengths = [480, 160, 160, 160, 480, 960, 960, 960, 960, 960, 480, 480, 960, 240, 240]
    pitches = [72, 74, 76, 77, 79, 72, 67, 69, 64, 65, 48, 50, 53, 36, 38]
    tracks = [0] * 6 + [1] * 2 + [2] * 2 + [3] * 3 + [4] * 2
    drums = [False] * 13 + [True] * 2
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    velocities = [40 + 5 * place for place in range(15)]
    return NoteSequence.from_columns(
        starts, ends, pitches, velocities, track=tracks, is_drum=drums, ticks_per_quarter=480
    )


def odd_midi() -> bytes:
    """A file with keys struck again while they sound, ends that lack, a pedal, a program and two tempos."""
    file = mido.MidiFile(ticks_per_beat=96)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track += [
        mido.MetaMessage("track_name", name="odd"),
        mido.MetaMessage("set_tempo", tempo=400000),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.Message("program_change", program=12),
        mido.Message("note_on", note=60, velocity=70),
        mido.Message("note_on", note=60, velocity=80, time=48),
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_off", note=60, time=24),
        mido.Message("note_on", note=62, velocity=90),
        mido.Message("note_on", note=62, velocity=0, time=10),
        mido.Message("note_off", note=60, time=24),
        mido.Message("control_change", control=64, value=0, time=100),
        mido.MetaMessage("set_tempo", tempo=500000),
        mido.Message("note_on", note=64, velocity=50, time=5),
        mido.Message("note_on", note=64, velocity=60, time=30),
        mido.Message("note_off", note=64, time=30),
        mido.Message("note_on", note=65, velocity=60, time=30),
        mido.Message("note_on", channel=9, note=36, velocity=60, time=30),
        mido.Message("note_off", channel=9, note=36, time=30),
    ]
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()


def hash_of_notes(notes: NoteSequence) -> str:
    """SHA-256 of all fields of a sequence, in short."""
    digest = hashlib.sha256()
    for field in fields(notes):
        value = getattr(notes, field.name)
        digest.update(field.name.encode())
        digest.update(value.astype(np.int64).tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("preset", ["default", "log_mel", "default+deltas=2+normalise=sliding", "librosa", "kaldi"])
def test_features_are_those_of_their_version(preset: str) -> None:
    settings = feature_settings(preset)
    found = projected(extract_frames(spoken(), settings))
    version, expected = FEATURES.get(preset, (1, ()))
    message = stale(f"features {preset}", "VERSIONS of seqaudio/features/settings.py", found)
    assert len(found) == len(expected), message
    assert np.allclose(found, expected, **CLOSE), message
    assert version == VERSIONS[settings.kind], message


def test_samples_are_those_of_their_version(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, np.stack([spoken(), 0.5 * spoken()], axis=1), 22050, subtype="PCM_16")
    found = projected(100 * read_audio(file, 16000).samples)
    version, expected = SAMPLES
    message = stale("a recording", "VERSION of seqaudio/audio/reading.py", found)
    assert len(found) == len(expected), message
    assert np.allclose(found, expected, **CLOSE), message
    assert version == seqaudio.audio.reading.VERSION, message


def test_notes_are_those_of_their_version() -> None:
    found = hash_of_notes(read_midi(odd_midi())) + hash_of_notes(read_midi(odd_midi(), pedal="applied"))
    assert (seqaudio.midi.reading.VERSION, found) == NOTES, stale(
        "a MIDI file", "VERSION of seqaudio/midi/reading.py", found
    )


@pytest.mark.parametrize("name", [*REPRESENTATIONS])
def test_tokens_are_those_of_their_version(name: str) -> None:
    representation = build_representation(name)
    encoded = np.asarray(representation.encode(representation.quantise(tune())))
    found = hashlib.sha256(repr(encoded.shape).encode() + encoded.astype(np.int64).tobytes()).hexdigest()[:16]
    where = f"`version` of {type(representation).__name__}"
    assert (representation.version, found) == TOKENS.get(name), stale(f"representation {name}", where, found)


# --- what a version is for ---


@dataclass(frozen=True)
class Nothing:
    def __call__(self, item: object) -> list[object]:
        return []


def raise_features(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(VERSIONS, "mfcc", 2)


def raise_audio(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seqaudio.audio.reading, "VERSION", 99)


def raise_midi(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seqaudio.midi.reading, "VERSION", 99)


def raise_facts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(piece_facts, "VERSION", 99)


def raise_melody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(REPRESENTATIONS["melody"], "version", 99)


SPEECH = speech_description(FeatureSettings(), "features")
MELODIES, ROLLS = (note_description(build_representation(name)) for name in ("melody", "roll"))


@pytest.mark.parametrize(
    ("change", "touched", "others"),
    [
        (raise_features, [SPEECH], [MELODIES, ROLLS, speech_description(FeatureSettings(kind="log_mel"), "features")]),
        (raise_audio, [SPEECH], [MELODIES, ROLLS]),
        (raise_midi, [MELODIES, ROLLS], [SPEECH]),
        (raise_facts, [MELODIES], [SPEECH, ROLLS]),
        (raise_melody, [MELODIES], [SPEECH, ROLLS]),
    ],
)
def test_a_new_version_of_the_code_is_another_process_for_its_stores_alone(
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
    touched: list[StoreDescription],
    others: list[StoreDescription],
) -> None:
    for module in (seqaudio.audio.reading, seqaudio.midi.reading, piece_facts):
        monkeypatch.setattr(module, "VERSION", 1)
    assert not any(map(code_versions, (*touched, *others))), "version 1 is that of stores which name none"
    before = [process_fingerprint(Nothing(), description) for description in (*touched, *others)]
    change(monkeypatch)
    after = [process_fingerprint(Nothing(), description) for description in (*touched, *others)]
    changed = [first != second for first, second in zip(before, after, strict=True)]
    assert changed == [True] * len(touched) + [False] * len(others)
