"""JSON that commands print with --json: one object about an evaluation, a store, a run, a MIDI file or a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqaudio.errors import OptionError
from seqaudio.files import json_text, read_plain
from seqaudio.trained import folder_or_model

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence


def print_evaluation(
    run: Path,
    split: str,
    metrics: Mapping[str, Any],
    baselines: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
) -> None:
    """Print what `evaluate --json` gives: the metrics of the run and of each baseline on a split, and details."""
    more = {} if details is None else {"details": dict(details)}
    print(json_text({"run": str(run), "split": split, "metrics": dict(metrics), "baselines": dict(baselines)} | more))


def facts(path: Path, max_seconds: float = 3600.0) -> dict[str, Any]:
    """Facts about the store, run, MIDI file or recording at a path; `is` says which. Raises OptionError for others."""
    from seqaudio.midi.reading import is_midi

    path = existing(path)
    if (path / "store.json").is_file():
        kind, found = "store", store_facts(path)
    elif (path / "config.json").is_file():
        kind, found = "run", run_facts(path)
    elif path.is_dir():
        raise OptionError(f"{path}: expected a store, with store.json, or a run, with config.json; found neither file")
    elif is_midi(path):
        kind, found = "MIDI", midi_facts(path)
    else:
        kind, found = "recording", recording_facts(path, max_seconds)
    return {"is": kind, "path": str(path)} | found


def existing(path: Path) -> Path:
    """A path to describe, or the folder of the model of this name that comes with seqaudio.

    Raises OptionError where there is neither.
    """
    if not (folder := folder_or_model(path)).exists():
        raise OptionError(f"{path}: no such file or folder; give a store, a run, a MIDI file or a recording")
    return folder


def store_facts(path: Path) -> dict[str, Any]:
    """Kind, settings, sizes of the splits, labels and outcomes of a store's inputs."""
    from seqaudio.store import Store

    store = Store(path)
    outcomes = Counter((str(entry.status), str(entry.reason or "")) for entry in store.ledger())
    return {
        "kind": store.kind,
        "fingerprint": store.fingerprint,
        "settings": store.settings,
        "sources": list(store.sources),
        "licence": store.licence,
        "splits": {name: asdict(count) for name, count in store.counts.items()},
        "vocabulary": None if store.vocabulary is None else list(store.vocabulary.names),
        "inputs": [
            {"status": status, "reason": reason, "count": count} for (status, reason), count in sorted(outcomes.items())
        ],
    }


def run_facts(path: Path) -> dict[str, Any]:
    """Recipe, model, input and results of a run."""
    from seqaudio.evaluation.results import read_results
    from seqaudio.run_folder import RunFolder

    run = RunFolder(path)
    epochs = read_plain(run.metrics_file).splitlines() if run.metrics_file.is_file() else []
    return {
        "recipe": run.recipe,
        "model": run.config["model"],
        "input": run.input,
        "settings": run.settings,
        "vocabulary": list(run.vocabulary.names),
        "epochs": len(epochs),
        "results": read_results(path) if (path / "results.json").is_file() else None,
    }


def midi_facts(path: Path) -> dict[str, Any]:
    """The songs of a MIDI file, of which only format 2 has several, and its comments."""
    from seqaudio.midi.comments import read_comments
    from seqaudio.midi.reading import read_songs

    return {"songs": [_song_facts(notes) for notes in read_songs(path)], "comments": list(read_comments(path))}


def _song_facts(notes: NoteSequence) -> dict[str, Any]:
    """Notes, length, tempos, time signatures, tracks and remarks of a song."""
    tracks = []
    for number, name in enumerate(notes.track_names):
        here = notes.track == number
        if here.any():
            drums = bool(notes.is_drum[here].any())
            tracks.append(
                {
                    "name": name,
                    "notes": int(here.sum()),
                    "program": None if drums else int(notes.program[here][0]),
                    "drums": drums,
                    "pitches": [int(notes.pitch[here].min()), int(notes.pitch[here].max())],
                }
            )
    return {
        "notes": len(notes),
        "seconds": notes.duration,
        "ticks_per_quarter": notes.ticks_per_quarter,
        "quarters_a_minute": [60e6 / float(tempo) for tempo in notes.tempo],
        "time_signatures": [signature.name for signature in notes.time_signatures],
        "tracks": tracks,
        "remarks": list(notes.remarks),
    }


def recording_facts(path: Path, max_seconds: float) -> dict[str, Any]:
    """Length, sample rate, peak and RMS level (of full scale; 0 is silence) and remarks of a recording."""
    import numpy as np

    from seqaudio.audio import read_audio, sound_fault

    recording = read_audio(path, max_seconds=max_seconds)
    return {
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "peak": float(np.abs(recording.samples).max()),
        "rms": float(np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64)))),
        "remarks": [line for line in (recording.remark, sound_fault(recording.samples)) if line],
    }


def cell_facts() -> dict[str, Any]:
    """The names that --cell and --initialisation take."""
    from seqaudio.cells import CELLS, INITIALISATIONS, WRAPPERS

    return {"cells": list(CELLS), "wrappers": list(WRAPPERS), "initialisations": list(INITIALISATIONS)}
