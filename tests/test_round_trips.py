"""Real files: what a representation decodes is what it encoded, note for note, and what quantising loses is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seqaudio.errors import MidiError
from seqaudio.midi import read_songs
from seqaudio.notes import NoteSequence
from seqaudio.prepare.music.options import midi_items
from seqaudio.tokens import (
    ChoraleGridRepresentation,
    ChoraleRepresentation,
    MelodyRepresentation,
    MidiTokRepresentation,
    PerformanceRepresentation,
    Representation,
    RollRepresentation,
    quantising_loss,
)
from seqaudio.tokens.miditok.tokeniser import TOKENISERS

REPRESENTATIONS: list[Representation] = [
    MelodyRepresentation(),
    PerformanceRepresentation(),
    PerformanceRepresentation(clock="second"),
    ChoraleRepresentation(),
    ChoraleGridRepresentation(),
    RollRepresentation(),
    RollRepresentation(repeats="joined"),
    MidiTokRepresentation("REMI"),
    MidiTokRepresentation("TSD", programs=True),
]
OTHER_TOKENISERS: list[Representation] = [
    MidiTokRepresentation(name) for name in TOKENISERS if name not in ("REMI", "TSD")
]


def songs(folder: Path, every: int) -> Iterator[tuple[Path, NoteSequence]]:
    """The songs of every n-th shared MIDI file; those that cannot be read are for other tests."""
    for item in midi_items(folder / "music", "the corpora")[::every]:
        try:
            found = read_songs(item.file)
        except MidiError:
            continue
        for song in found:
            yield item.file, song


def check(path: Path, notes: NoteSequence, representation: Representation) -> None:
    name = f"{path.name} as {representation.name} {representation.settings()}"
    quantised = representation.quantise(notes)
    encoded = representation.encode(notes)
    assert representation.decode(encoded) == quantised, name
    assert representation.quantise(quantised) == quantised, name
    np.testing.assert_array_equal(representation.encode(quantised), encoded, err_msg=name)
    loss = quantising_loss(representation, notes)
    assert loss.kept == len(quantised), f"{name}: {loss}"
    assert loss.kept + loss.merged + loss.left_out + loss.percussion == loss.notes == len(notes), f"{name}: {loss}"


@pytest.mark.data
def test_a_sample_of_the_shared_files_passes_both_ways(data_folder: Path) -> None:
    passed = 0
    for path, notes in songs(data_folder, every=70):
        for representation in REPRESENTATIONS:
            check(path, notes, representation)
        passed += 1
    assert passed > 20


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "representation",
    [*REPRESENTATIONS, *OTHER_TOKENISERS],
    ids=lambda it: f"{it.name} {list(it.settings().values())}",
)
def test_every_shared_file_passes_both_ways(data_folder: Path, representation: Representation) -> None:
    passed = 0
    for path, notes in songs(data_folder, every=1):
        check(path, notes, representation)
        passed += 1
    assert passed > 1800
