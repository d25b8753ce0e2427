"""What of the installation works, and what to do about the rest.

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

from seqaudio.version import __version__


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""


@dataclass(frozen=True)
class Check:
    """One thing that may work or not. `try_it` returns what to print, or raises."""

    what: str
    try_it: Callable[[], str]
    remedy: str  # for when it does not
    needed: bool  # for the commands of a plain installation


def main(config: Config) -> None:
    """Print a line a check; exit status 1 where a needed one fails."""
    del config
    print(f"seqaudio {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")
    failed = False
    for check in CHECKS:
        try:
            found, mark = check.try_it(), "ok"
        except Exception as error:  # noqa: BLE001  # whatever a broken installation raises is what we report
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            found, mark = f"{reason}; {check.remedy}", "FAILS" if check.needed else "absent"
            failed |= check.needed
        print(f"  {mark:<7} {check.what:<22} {found}")
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
    return "without a version"


def _torch() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, the CPU it is"
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}"


def _processors() -> str:
    return f"{os.cpu_count()} in the machine"


def _audio() -> str:
    import soundfile

    return f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}, soxr {_version('soxr')}"


def _midi() -> str:
    from seqaudio.midi import read_midi
    from seqaudio.midi.writing import midi_bytes
    from seqaudio.notes import NoteSequence

    notes = NoteSequence.from_columns([0], [480], [60])
    if len(read_midi(midi_bytes(notes))) != 1:
        raise RuntimeError("a written note did not come back")
    return f"a note written and read back through the guarded parser, symusic {_version('symusic')}"


def _speech() -> str:
    from seqaudio.synthesis.espeak import library_version

    return f"espeak-ng {library_version()}"


PLAIN = "install seqaudio again"
CHECKS = (
    Check("processors", _processors, "", False),
    Check("torch", _torch, PLAIN, True),
    Check("stores and weights", _imports("pyarrow", "safetensors", "numpy"), PLAIN, True),
    Check("recordings", _audio, PLAIN, True),
    Check("MIDI", _midi, PLAIN, True),
    Check("pictures", _imports("matplotlib"), PLAIN, True),
    Check("TensorBoard", _imports("tensorboard"), PLAIN, True),
    Check("speech synthesis", _speech, 'pip install "seqaudio[tts]" for data_prep/synthetic_keywords.py', False),
    Check("chorales", _imports("music21"), 'pip install "seqaudio[chorales]" for bach_chorales', False),
    Check("m4a, WebM, video", _imports("av"), 'pip install "seqaudio[media]"', False),
    Check("MidiTok", _imports("miditok"), 'pip install "seqaudio[miditok]" for its representations', False),
    Check("MATLAB files", _imports("scipy"), 'pip install "seqaudio[matlab]" for polyphonic', False),
    Check("Dask", _imports("distributed"), 'pip install "seqaudio[dask]" for --dask', False),
    Check("torchaudio", _imports("torchaudio"), "only tests use it: pip install the version of torch", False),
    Check("librosa", _imports("librosa"), "only tests use it", False),
)
