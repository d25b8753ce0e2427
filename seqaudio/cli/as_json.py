"""JSON of what commands print with --json: one object of an evaluation, a store, a run, a MIDI file, a recording."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqaudio.errors import OptionError


def json_text(value: Any) -> str:
    """One line of JSON; numbers that are not finite, which JSON does not have, become null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def print_evaluation(run: Path, split: str, metrics: Mapping[str, Any], baselines: Mapping[str, Any]) -> None:
    """Print what `evaluate --json` gives: the metrics of the run and of each baseline on a split."""
    print(json_text({"run": str(run), "split": split, "metrics": dict(metrics), "baselines": dict(baselines)}))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def facts(path: Path, midi_suffixes: tuple[str, ...]) -> dict[str, Any]:
    """What is at a path; `is` tells which of the four. Raises OptionError for anything else."""
    if not path.exists():
        raise OptionError(f"{path}: no such file or folder; give a store, a run, a MIDI file or a recording")
    if (path / "store.json").is_file():
        kind, found = "store", store_facts(path)
    elif (path / "config.json").is_file():
        kind, found = "run", run_facts(path)
    elif path.is_dir():
        raise OptionError(f"{path}: expected a store, with store.json, or a run, with config.json; found neither file")
    elif path.suffix.lower() in midi_suffixes:
        kind, found = "MIDI", midi_facts(path)
    else:
        kind, found = "recording", recording_facts(path)
    return {"is": kind, "path": str(path)} | found


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
    from seqaudio.run_folder import RunFolder

    run = RunFolder(path)
    epochs = run.metrics_file.read_bytes().splitlines() if run.metrics_file.is_file() else []
    results = path / "results.json"
    return {
        "recipe": run.recipe,
        "model": run.config["model"],
        "input": run.input,
        "settings": run.settings,
        "vocabulary": list(run.vocabulary.names),
        "epochs": len(epochs),
        "results": json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None,
    }


def midi_facts(path: Path) -> dict[str, Any]:
    """Notes, length, tempos, time signatures, tracks and remarks of a MIDI file."""
    from seqaudio.midi.comments import read_comments
    from seqaudio.midi.reading import read_midi

    notes = read_midi(path)
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
        "comments": list(read_comments(path)),
    }


def recording_facts(path: Path) -> dict[str, Any]:
    """Length, rate, peak and level of a recording, in full scale; 0 is silent."""
    import numpy as np

    from seqaudio.audio import read_audio

    recording = read_audio(path)
    return {
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "peak": float(np.abs(recording.samples).max()),
        "rms": float(np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64)))),
    }


def cell_facts() -> dict[str, Any]:
    """The names that --cell and --initialisation take."""
    from seqaudio.cells import CELLS, INITIALISATIONS, WRAPPERS

    return {"cells": list(CELLS), "wrappers": list(WRAPPERS), "initialisations": list(INITIALISATIONS)}
