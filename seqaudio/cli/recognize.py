"""Recognise the keywords in each recording, with their probabilities.

Example: seqaudio recognize digits three.wav
         seqaudio recognize runs/fsdd_gru hello.wav folder/of/words --json

A recording as long as the clips of the training gives one line: path, label, probability. A longer one gives a line for
each word, with its start and end in seconds behind these, or one with `silence`, or with `unknown` for other speech.
Models that were trained on whole clips give one line for every recording.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tyro

from seqaudio.errors import OptionError, SeqAudioError, SourceError
from seqaudio.files import json_text
from seqaudio.progress import say
from seqaudio.terminal import few, visible

if TYPE_CHECKING:
    from seqaudio.decoding.keywords import Heard, KeywordRecognizer
    from seqaudio.decoding.recognition import StreamRecognizer
    from seqaudio.decoding.spotting import Hit
    from seqaudio.run_folder import RunFolder

SHOWN = 10  # segments of a long recording that are named
COLUMNS = ("path", "label", "probability", "start", "end")  # of --csv


@dataclass(frozen=True)
class Config:
    """The model, and the recordings to recognise."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe keyword_recognition, or a name
    files: tyro.conf.Positional[tuple[Path, ...]]  # recordings, or folders of them
    json: bool = False  # print a JSON object for each recording
    csv: bool = False  # print CSV with a header, start and end in seconds
    max_seconds: float = 3600.0  # longer recordings are refused


class Row(NamedTuple):
    """A word, or the answer for a whole recording, with its time in seconds."""

    label: str
    probability: float
    start: float
    end: float


class Answer(NamedTuple):
    """What is told of a recording: lines, whether with times, and what JSON says beside path, label, probability."""

    rows: list[Row]
    timed: bool
    label: str
    probability: float
    more: dict[str, Any]


def main(config: Config) -> None:
    """Print the answer for each file. A file that cannot be read does not stop the others."""
    if config.json and config.csv:
        raise OptionError("--json and --csv exclude each other; give one of them")
    files = list_files(config.files)

    from seqaudio.run_folder import RunFolder

    recognize = _recognizer(RunFolder(config.run, ("keyword_recognition",)))
    failures: list[str] = []
    table = csv.writer(sys.stdout, lineterminator="\n")
    if config.csv:
        table.writerow(COLUMNS)
    for file in files:
        try:
            answer = recognize(file, config.max_seconds)
        except SeqAudioError as error:
            failures.append(str(error))
            continue
        if config.json:
            told = {"path": str(file), "label": answer.label, "probability": round(answer.probability, 6)}
            print(json_text(told | answer.more))
            continue
        for row in answer.rows:
            if config.csv:
                table.writerow([file, row.label, f"{row.probability:.6f}", f"{row.start:.3f}", f"{row.end:.3f}"])
            else:
                times = f"\t{row.start:.2f}\t{row.end:.2f}" if answer.timed else ""
                print(f"{visible(file)}\t{visible(row.label)}\t{row.probability:.3f}{times}")
    if failures:
        raise SeqAudioError("; ".join(failures))


def _recognizer(run: RunFolder) -> Callable[[Path, float], Answer]:
    """What answers for a file and the most seconds it may have, for either kind of model."""
    if run.config["model"]["name"] == "spotter":
        from seqaudio.decoding.recognition import StreamRecognizer

        streamed = StreamRecognizer(run)
        return lambda file, most: _streamed(streamed, file, most)
    from seqaudio.decoding.keywords import KeywordRecognizer

    whole = KeywordRecognizer(run)
    return lambda file, most: _of_clips(whole, file, most)


def _streamed(recognizer: StreamRecognizer, file: Path, max_seconds: float) -> Answer:
    found = recognizer.recognize(file, max_seconds)
    rows = [Row(hit.keyword, hit.confidence, hit.start, hit.end) for hit in found.hits]
    if found.is_clip or not rows:
        rows = [Row(found.label, found.probability, 0.0, found.seconds)]
    hits = [hit_object(hit) for hit in found.hits]
    return Answer(rows, not found.is_clip, found.label, found.probability, {"hits": hits})


def hit_object(hit: Hit) -> dict[str, Any]:
    """A hit as JSON tells it."""
    times = {"start": round(hit.start, 3), "end": round(hit.end, 3)}
    return {"keyword": hit.keyword, **times, "confidence": round(hit.confidence, 6)}


def _of_clips(recognizer: KeywordRecognizer, file: Path, max_seconds: float) -> Answer:
    """One answer a file; the other segments of a long recording are told on stderr."""
    heard = recognizer.recognize(file, max_seconds)
    if len({segment.label for segment in heard}) > 1:
        say(f"{file}: longer than the clips of the training; heard {_segments(heard)}")
    return Answer([Row(*heard[0])], False, heard[0].label, heard[0].probability, {})


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
