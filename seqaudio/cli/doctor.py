"""Check what of the installation works, and say how to get the rest.

Example: seqaudio doctor
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from seqaudio.errors import how_to_install
from seqaudio.files import json_text
from seqaudio.version import __version__


@dataclass(frozen=True)
class Config:
    """How to print."""

    json: bool = False  # print one JSON object instead of text


@dataclass(frozen=True)
class Check:
    """A part of the installation. `try_it` returns a description to print, or raises if the part does not work."""

    what: str
    try_it: Callable[[], str]
    remedy: str  # what to do if it does not work
    needed: bool  # by the commands of a plain installation


def main(config: Config) -> None:
    """Print a line for each check; exit with status 1 if a needed part does not work."""
    system = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    if not config.json:
        print(f"seqaudio {__version__}, Python {system['python']}, {system['platform']}")
    failed = False
    results = []
    for check in CHECKS:
        try:
            found, mark = check.try_it(), "ok"
        except Exception as error:  # noqa: BLE001  # a broken installation may raise anything, which is reported
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            found, mark = f"{reason}; {check.remedy}", "FAILS" if check.needed else "absent"
            failed |= check.needed
        results.append({"part": check.what, "status": mark, "found": found})
        if not config.json:
            print(f"  {mark:<7} {check.what:<22} {found}")
    if config.json:
        print(json_text({"seqaudio": __version__} | system | {"works": not failed, "checks": results}))
    if failed:
        sys.exit(1)


def _imports(*names: str) -> Callable[[], str]:
    def try_it() -> str:
        for name in names:
            importlib.import_module(name)
        return ", ".join(f"{name} {_version(name)}" for name in names)

    return try_it


def _version(name: str) -> str:
    for distribution in (name, name.replace("_", "-"), name.split(".")[0]):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "(version unknown)"


def _torch() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, runs on the CPU"
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}"


def _processors() -> str:
    return f"{os.cpu_count()}"


def _audio() -> str:
    import soundfile

    libsndfile = soundfile.__libsndfile_version__
    return f"soundfile {soundfile.__version__}, libsndfile {libsndfile}, soxr {_version('soxr')}"


def _midi() -> str:
    from seqaudio.midi import read_midi
    from seqaudio.midi.writing import midi_bytes
    from seqaudio.notes import NoteSequence

    notes = NoteSequence.from_columns([0], [480], [60])
    if len(read_midi(midi_bytes(notes))) != 1:
        raise RuntimeError("wrote one note to MIDI, but did not read one note back")
    return f"wrote a note and read it back through the guarded parser, symusic {_version('symusic')}"


def _speech() -> str:
    from seqaudio.synthesis.espeak import library_version

    return f"espeak-ng {library_version()}"


PLAIN = "install seqaudio again"
CHECKS = (
    Check("processors", _processors, "", False),
    Check("torch", _torch, PLAIN, True),
    Check("stores and checkpoints", _imports("pyarrow", "safetensors", "numpy"), PLAIN, True),
    Check("recordings", _audio, PLAIN, True),
    Check("MIDI", _midi, PLAIN, True),
    Check("pictures", _imports("matplotlib"), PLAIN, True),
    Check("TensorBoard", _imports("tensorboard"), how_to_install("tensorboard"), False),
    Check("speech synthesis", _speech, f"{how_to_install('tts')}, for synthetic_keywords", False),
    Check("chorales", _imports("music21"), f"{how_to_install('chorales')}, for bach_chorales", False),
    Check("pictures of scores", _imports("verovio"), f"{how_to_install('scores')}, for --engraved", False),
    Check("m4a, WebM, video", _imports("av"), how_to_install("media"), False),
    Check(
        "microphone",
        _imports("sounddevice"),
        f"{how_to_install('microphone')}; on Debian also apt install libportaudio2",
        False,
    ),
    Check("MIDI ports", _imports("rtmidi"), f"{how_to_install('ports')}, for generate --port", False),
    Check("Home Assistant", _imports("wyoming"), f"{how_to_install('wyoming')}, for seqaudio wyoming", False),
    Check(
        "page in the browser",
        _imports("fastapi", "uvicorn", "websockets"),
        f"{how_to_install('web')}, for seqaudio serve",
        False,
    ),
    Check("MidiTok", _imports("miditok"), f"{how_to_install('miditok')}, for its representations", False),
    Check("MATLAB files", _imports("scipy"), f"{how_to_install('matlab')}, for polyphonic", False),
    Check("data sets of the hub", _imports("datasets"), f"{how_to_install('datasets')}, for --hub", False),
    Check("Dask", _imports("distributed"), f"{how_to_install('dask')}, for --dask", False),
    Check(
        "other detectors",
        _imports("pymicro_wakeword", "pyopen_wakeword", "pocketsphinx"),
        f"{how_to_install('rivals')}, for alarms --beside",
        False,
    ),
    Check("torchaudio", _imports("torchaudio"), "only for tests: install the version that fits torch", False),
    Check("librosa", _imports("librosa"), "only for tests", False),
)
