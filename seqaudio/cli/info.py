"""Describe a store, a run, a MIDI file or a recording; list the cells.

Example: seqaudio info stores/fsdd
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from seqaudio.cli.as_json import cell_facts, existing, facts
from seqaudio.errors import OptionError
from seqaudio.extensions import listed
from seqaudio.files import json_text
from seqaudio.store import SUMMED_UP, Store, describe_store
from seqaudio.terminal import visible

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence


@dataclass(frozen=True)
class Config:
    """Options: the thing to describe, or a listing."""

    path: tyro.conf.Positional[Path | None] = None  # store, run, MIDI file or recording
    lanes: int | None = None  # draw how truncated BPTT distributes a store of tokens over N lanes
    window: int = 128  # steps of a window in that drawing
    verify: bool = False  # of a store: compare every file with the hash that the store keeps of it, check every value
    max_seconds: float = 3600.0  # of a recording; longer ones are refused, as each is held in memory whole
    cells: bool = False  # list the values of --cell and --initialisation, including those that --use registers
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the description."""
    if config.cells == (config.path is not None):
        raise OptionError("expected one of: a store, a run, a MIDI file, a recording, or --cells")
    if config.json:
        if config.lanes is not None:
            raise OptionError("--lanes is a drawing, which JSON does not have; leave out --json or --lanes")
        found = cell_facts() if config.path is None else facts(config.path, config.max_seconds)
        print(json_text(found | ({"verified": list(verified(config))} if config.verify else {})))
        return
    lines = describe(config.path, config.max_seconds) if config.path is not None else describe_cells()
    if config.lanes is not None:
        lines = chain(lines, describe_lanes(config))
    if config.verify:
        lines = chain(lines, verified(config))
    print("\n".join(map(visible, lines)))


def describe(path: Path, max_seconds: float = 3600.0) -> Iterator[str]:
    """Lines that describe what is at a path. Raises OptionError for a missing path, or any other folder."""
    path = existing(path)
    if path.is_dir():
        if (path / "store.json").is_file():
            store = Store(path)
            return chain(describe_store(store), describe_repertoire(store.settings, f"{path / 'store.json'}"))
        if (path / "config.json").is_file():
            return describe_run(path)
        raise OptionError(f"{path}: expected a store, with store.json, or a run, with config.json; found neither file")
    from seqaudio.midi.reading import is_midi

    if is_midi(path):
        return describe_midi(path)
    return describe_recording(path, max_seconds)


def describe_lanes(config: Config) -> Iterator[str]:
    """Lines that draw the first windows in the lanes of the training split, in the order of the store.

    Raises OptionError for anything but a store of tokens, and for numbers below 1.
    """
    if config.path is None or not (config.path / "store.json").is_file():
        raise OptionError(f"--lanes {config.lanes} needs a store, got {config.path or '--cells'}")
    if min(config.lanes or 0, config.window) < 1:
        raise OptionError(f"--lanes {config.lanes} --window {config.window}, expected at least 1 of each")
    from seqaudio.batching import Lanes
    from seqaudio.batching.lanes import draw_lanes

    store = Store(config.path)
    store.require(("tokens", "text"), "drawing lanes")
    return draw_lanes(Lanes(store["train"], config.lanes or 1, config.window))


def verified(config: Config) -> Iterator[str]:
    """A line that says: the store is as it was written. Raises OptionError for others, StoreError for damage."""
    if config.path is None or not (config.path / "store.json").is_file():
        raise OptionError(f"--verify got {config.path or '--cells'}, expected a store; leave out --verify")
    yield f"  {Store(config.path).verify()}"


def describe_cells() -> Iterator[str]:
    """Lines that list each cell, wrapper and initialisation, with its numbers."""
    from seqaudio.cells import CELLS, INITIALISATIONS, WRAPPERS

    yield "cells, for --cell:"
    for name in CELLS:
        yield _entry(name, CELLS[name])
    yield "wrappers, added to a cell with +, as in --cell lstm+zoneout=0.1,0.5+residual (listed with their defaults):"
    for name in WRAPPERS:
        yield _entry(_form(name, WRAPPERS[name]), WRAPPERS[name])
    yield "initialisations, applied in the given order, as in --initialisation orthogonal+forget_bias=2:"
    for name in INITIALISATIONS:
        yield _entry(_form(name, INITIALISATIONS[name]), INITIALISATIONS[name])


def _form(name: str, function: Callable[..., Any]) -> str:
    """A name with the defaults of its numbers: `zoneout=0.05,0.5`; `chrono=LONGEST_LAG` where there is no default."""
    _, *numbers = inspect.signature(function).parameters.values()
    if not numbers:
        return name
    empty = inspect.Parameter.empty
    return f"{name}=" + ",".join(n.name.upper() if n.default is empty else f"{n.default:g}" for n in numbers)


def _entry(form: str, thing: object) -> str:
    first = (inspect.getdoc(thing) or "no description").splitlines()[0]
    return f"  {form:<29} {first.removeprefix('One step of a ')}"


def describe_run(path: Path) -> Iterator[str]:
    """Lines that describe a run: model, input, results."""
    from seqaudio.run_folder import RunFolder

    run = RunFolder(path)
    model = run.config["model"]
    yield f"{path}: run of {run.recipe}"
    yield f"  model: {model['name']} {json.dumps(model['arguments'])}"
    settings = {name: value for name, value in run.input["settings"].items() if name not in SUMMED_UP}
    yield f"  input: {run.input['kind']} {json.dumps(settings)}"
    yield from describe_repertoire(run.input["settings"], f"{path / 'config.json'}")
    if "forms" in run.input:
        from seqaudio.decoding.trained_music import forms_of

        if (forms := forms_of(run)) is not None:
            yield f"  {forms.describe()}"
    if "conditions" in run.input:
        from seqaudio.tokens.conditions import Conditions

        yield f"  {run.input_fact('conditions', Conditions).describe()}"
    names = ", ".join(run.vocabulary.names[:8]) + (", ..." if len(run.vocabulary) > 8 else "")
    yield f"  vocabulary: {len(run.vocabulary):,} ({names})"
    if run.extensions:
        yield f"  made with --use: {listed(run.extensions)}"
    if run.metrics_file.is_file():
        yield f"  epochs: {len(run.metrics_file.read_bytes().splitlines())} done"
    results = path / "results.json"
    if not results.is_file():
        yield "  results: none yet, the training is not finished; continue it with --resume"
        return
    from seqaudio.evaluation.results import read_results
    from seqaudio.state import state_spec

    data = read_results(path)
    for split in ("valid", "test"):
        if data[split] is None:
            yield f"  {split}: not evaluated"
            continue
        yield f"  {split}: {_scores(data[split])}"
        for name, scores in data["baselines"].items():
            if split in scores:
                yield f"    {name}: {_scores(scores[split])}"
    yield f"  parameters: {data['parameters']:,}, trained for {data['wall_seconds']:,.0f} s on {data['machine']}"
    model = run.model()
    if getattr(model, "causal", True):
        size = sum(math.prod(shape) for shape in state_spec(model.initial_state(1)).values())
        yield f"  state of a stream: {size:,} numbers, whatever its length"
    else:
        yield "  state of a stream: none, as the model needs whole recordings"
    yield f"  test split evaluated: {data['test_reads']} times"
    for fingerprint, found in data["tests"].items():
        if fingerprint != run.config["store"]:
            yield f"  test of {found['store']}, read {found['test_reads']} times: {_scores(found['test'])}"
    yield f"  command: {data.get('command', 'unknown')}"


def describe_repertoire(settings: dict[str, Any], file: str) -> Iterator[str]:
    """A line about what the training pieces of music have in common; none where the settings do not tell.

    Raises OptionError, which names the file, for damaged settings.
    """
    if "repertoire" not in settings:
        return
    from seqaudio.json_files import fitted
    from seqaudio.tokens import build_representation
    from seqaudio.tokens.repertoire import Repertoire

    try:
        found = fitted(Repertoire, settings["repertoire"], "settings.repertoire")
    except ValueError as error:
        raise OptionError(f"{file}: damaged ({error}); prepare the store again") from None
    chosen = dict(settings.get("representation", {}))
    beats = build_representation(str(chosen.pop("name", "")), chosen)
    yield f"  {found.describe(beats)}"


def _scores(metrics: dict[str, float | None]) -> str:
    return ", ".join(_score(name, value) for name, value in metrics.items())


def _score(name: str, value: float | None) -> str:
    if value is None:
        return f"{name} not finite"
    if name in ("count", "order"):
        return f"{'n' if name == 'count' else name} {value:,g}"
    return f"{name} {value:,.4f}"


def describe_midi(path: Path) -> Iterator[str]:
    """Lines that describe a MIDI file. Raises MidiError with the reason if it cannot be read."""
    from seqaudio.midi.comments import read_comments
    from seqaudio.midi.reading import read_songs

    songs = read_songs(path)
    for number, notes in enumerate(songs, start=1):
        name = f"{path}, song {number} of {len(songs)}" if len(songs) > 1 else f"{path}"
        yield from _describe_song(name, notes)
    for line in read_comments(path):
        yield f"  {line}"


def _describe_song(name: str, notes: NoteSequence) -> Iterator[str]:
    from seqaudio.prepare.music.midi_rows import first_remarks

    yield f"{name}: MIDI, {len(notes):,} notes, {notes.duration:.1f} s, {notes.ticks_per_quarter} ticks per quarter"
    tempos = ", ".join(f"{60e6 / tempo:.6g}" for tempo in notes.tempo[:4])
    more = f" and {len(notes.tempo) - 4} more" if len(notes.tempo) > 4 else ""
    yield f"  tempo (quarters a minute): {tempos}{more}"
    signatures = ", ".join(signature.name for signature in notes.time_signatures[:4])
    yield f"  time signature: {signatures or 'none, which means 4/4'}"
    for number, track_name in enumerate(notes.track_names):
        here = notes.track == number
        if not here.any():
            continue
        program = "drums" if notes.is_drum[here].any() else f"program {notes.program[here][0]}"
        span = f"pitches {notes.pitch[here].min()}..{notes.pitch[here].max()}"
        yield f"  track {track_name or number}: {int(here.sum()):,} notes, {program}, {span}"
    for line in first_remarks(notes):
        yield f"  {line}"


def describe_recording(path: Path, max_seconds: float) -> Iterator[str]:
    """Lines that describe a recording. Raises AudioError with the reason if it cannot be read."""
    import numpy as np

    from seqaudio.audio import read_audio, sound_fault

    recording = read_audio(path, max_seconds=max_seconds)
    peak = float(np.abs(recording.samples).max())
    level = float(np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64))))
    yield f"{path}: recording, {recording.seconds:.3f} s at {recording.sample_rate:,} Hz"
    if recording.remark:
        yield f"  {recording.remark}"
    if not peak:
        yield "  silent"
        return
    fault = sound_fault(recording.samples)
    yield f"  peak {_decibels(peak)}, RMS level {_decibels(level)}" + (", clipped" if peak >= 1 and not fault else "")
    if fault:
        yield f"  {fault}"


def _decibels(value: float) -> str:
    return f"{20 * math.log10(value):.1f} dBFS"
