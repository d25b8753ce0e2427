"""The keyword in each recording, with its probability.

Example: seqaudio recognize runs/fsdd_gru hello.wav goodbye.flac
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.errors import OptionError, SeqAudioError


@dataclass(frozen=True)
class Config:
    """What to recognise, and with which model."""

    run: tyro.conf.Positional[Path]  # folder that recipes/keyword_recognition/train.py made
    files: tyro.conf.Positional[tuple[Path, ...]]  # recordings: anything soundfile reads


def main(config: Config) -> None:
    """Print a line a file: name, label, probability. A file that cannot be read does not stop the others."""
    from seqaudio.bptt.run_folder import RunFolder
    from seqaudio.decoding.keywords import KeywordRecognizer

    if not config.files:
        raise OptionError("no recording was given; name at least one file after the run")
    recognizer = KeywordRecognizer(RunFolder(config.run))
    failures: list[str] = []
    for file in config.files:
        try:
            label, probability = recognizer.recognize(file)
        except SeqAudioError as error:
            failures.append(str(error))
            continue
        print(f"{file}\t{label}\t{probability:.3f}")
    if failures:
        raise SeqAudioError("; ".join(failures))
