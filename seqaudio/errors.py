"""The one tree of errors. A message says what was got, what was expected and what to try, in one line."""

from __future__ import annotations

from pathlib import Path

from seqaudio.ledger import Reason


class SeqAudioError(Exception):
    """Anything a user can mend. Commands print its text as one line and exit with status 2."""


class InputFileError(SeqAudioError):
    """One input file that cannot be used. `reason` goes into the ledger, `detail` says what was found."""

    def __init__(self, path: Path | str, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {reason.value}: {detail}")
        self.path = path
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[Path | str, Reason, str]]:
        # an error raised in a worker process arrives whole in the parent
        return type(self), (self.path, self.reason, self.detail)


class AudioError(InputFileError):
    """A recording that is empty, truncated, not audio, or not finite."""


class MidiError(InputFileError):
    """A MIDI file that cannot be read, or that holds nothing to learn from."""


class LeftOutError(InputFileError):
    """An input that could be used and is left out on purpose: the ledger has it as skipped."""


class OptionError(SeqAudioError):
    """An option or argument that makes no sense, alone or beside another."""


class SourceError(SeqAudioError):
    """A folder, table or archive to prepare from that is missing, empty or laid out otherwise."""


class StoreError(SeqAudioError):
    """A store that is missing, damaged, of another kind, or already there."""


class RunError(SeqAudioError):
    """A run folder that is missing, damaged, already there, or does not suit the store."""


class VocabularyError(SeqAudioError):
    """A name that the vocabulary does not hold."""
