"""All errors of the package. A message says in one line what was got, what was expected and what to try."""

from __future__ import annotations

from pathlib import Path

from seqaudio.ledger import Reason

# the packages of each extra of pyproject.toml; a fixed table, since hints are in ledgers, which are the same anywhere
EXTRAS = {
    "tts": "espeakng-loader",
    "chorales": "music21",
    "scores": "verovio",
    "media": "av",
    "miditok": "miditok",
    "matlab": "scipy",
    "dask": "distributed",
    "tensorboard": "tensorboard",
    "microphone": "sounddevice",
    "ports": "python-rtmidi",
    "datasets": "datasets",
    "export": "onnx onnxruntime",
    "wyoming": "wyoming",
    "web": "fastapi uvicorn websockets",
    "rivals": "pymicro-wakeword pyopen-wakeword pocketsphinx",
}


def how_to_install(extra: str) -> str:
    """The commands that add an extra, for the end of a message.

    seqaudio is on no package index, so an extra can be installed by its name in a clone only, its package anywhere.
    """
    return f'pip install {EXTRAS[extra]} (in a clone: pip install ".[{extra}]")'


class SeqAudioError(Exception):
    """Base of all errors that a user can fix. Commands print the message as one line and exit with status 2."""


class InputFileError(SeqAudioError):
    """An input file that cannot be used. `reason` goes into the ledger, `detail` says what was found."""

    def __init__(self, path: Path | str, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {reason.value}: {detail}")
        self.path = path
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[Path | str, Reason, str]]:
        # keeps all fields of an error that a worker process raises, when it is pickled for the parent
        return type(self), (self.path, self.reason, self.detail)


class AudioError(InputFileError):
    """A recording that is empty, truncated, not audio, or has samples that are not finite."""


class MidiError(InputFileError):
    """A MIDI file that cannot be read, or that has no notes to learn from."""


class ArpaError(InputFileError):
    """An ARPA file that is not one, is damaged or very large; the detail names the line."""


class LeftOutError(InputFileError):
    """A usable input that is left out on purpose; the ledger lists it as skipped."""


class OptionError(SeqAudioError):
    """An option or argument that is invalid, alone or together with another."""


class SourceError(SeqAudioError):
    """A source of a corpus (folder, table, archive) that is missing, empty or has an unexpected layout."""


class StoreError(SeqAudioError):
    """A store that is missing, damaged, of the wrong kind, or already exists."""


class RunError(SeqAudioError):
    """A run folder that is missing, damaged, already exists, or does not match the store."""


class DivergedError(RunError):
    """A training that stopped because its gradients were not finite, update after update."""


class FolderError(SeqAudioError):
    """A folder or file that seqaudio would write to or remove, but that holds something of the user's."""


class InUseError(SeqAudioError):
    """A folder that another process is writing to; the message names process and host."""


class VocabularyError(SeqAudioError):
    """A name that is not in the vocabulary."""


class AlignmentError(SeqAudioError):
    """A text that cannot be aligned with the frames of its recording."""
