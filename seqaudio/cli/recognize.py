"""Recognise the keyword in each recording, with its probability.

Example: seqaudio recognize runs/fsdd_gru hello.wav folder/of/words --json
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.errors import OptionError, SeqAudioError, SourceError
from seqaudio.files import json_text
from seqaudio.progress import say
from seqaudio.terminal import few, visible

if TYPE_CHECKING:
    from seqaudio.decoding.keywords import Heard

SHOWN = 10  # segments of a long recording that are named


@dataclass(frozen=True)
class Config:
    """The model, and the recordings to recognise."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe keyword_recognition
    files: tyro.conf.Positional[tuple[Path, ...]]  # recordings, or folders of them
    json: bool = False  # print a JSON object for each recording
    csv: bool = False  # print CSV with a header
    max_seconds: float = 3600.0  # longer recordings are refused, as each is held in memory whole


def main(config: Config) -> None:
    """Print a line for each file: path, label, probability. A file that cannot be read does not stop the others."""
    if config.json and config.csv:
        raise OptionError("--json and --csv exclude each other; give one of them")
    files = list_files(config.files)

    from seqaudio.decoding.keywords import KeywordRecognizer
    from seqaudio.run_folder import RunFolder

    recognizer = KeywordRecognizer(RunFolder(config.run))
    failures: list[str] = []
    table = csv.writer(sys.stdout, lineterminator="\n")
    if config.csv:
        table.writerow(["path", "label", "probability"])
    for file in files:
        try:
            heard = recognizer.recognize(file, config.max_seconds)
        except SeqAudioError as error:
            failures.append(str(error))
            continue
        label, probability = heard[0].label, heard[0].probability
        if len({segment.label for segment in heard}) > 1:
            say(f"{file}: longer than the clips of the training; heard {_segments(heard)}")
        if config.json:
            print(json_text({"path": str(file), "label": label, "probability": round(probability, 6)}))
        elif config.csv:
            table.writerow([file, label, f"{probability:.6f}"])
        else:
            print(f"{visible(file)}\t{visible(label)}\t{probability:.3f}")
    if failures:
        raise SeqAudioError("; ".join(failures))


def _segments(heard: list[Heard]) -> str:
    """The labels of the segments and their times, in order of time."""
    ordered = sorted(heard, key=lambda segment: segment.start)
    return few((f"{segment.label} at {segment.start:.1f} to {segment.end:.1f} s" for segment in ordered), SHOWN)


def list_files(given: tuple[Path, ...]) -> list[Path]:
    """The files as given, with folders replaced by the recordings in them, sorted by path.

    Raises OptionError if nothing was given, SourceError for a folder without recordings.
    """
    from seqaudio.audio import is_audio_name

    if not given:
        raise OptionError("got no recordings; give at least one file or folder after the run")
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(file for file in path.rglob("*") if file.is_file() and is_audio_name(file))
        if not found:
            raise SourceError(f"{path}: has no recordings; expected a folder with WAV, FLAC, OGG or MP3 files")
        files += found
    return files
