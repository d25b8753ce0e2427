"""Losses of quantising are counted: every note is kept, merged, left out or percussion."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from test_representations import pieces

from seqaudio.notes import NoteSequence
from seqaudio.tokens import (
    ChoraleRepresentation,
    MelodyRepresentation,
    MidiTokRepresentation,
    PerformanceRepresentation,
    Representation,
    RollRepresentation,
    quantising_loss,
)

REPRESENTATIONS: list[Representation] = [
    MelodyRepresentation(),
    PerformanceRepresentation(),
    PerformanceRepresentation(clock="second", steps_per_second=8),
    ChoraleRepresentation(),
    RollRepresentation(),
    RollRepresentation(repeats="joined"),
    MidiTokRepresentation("TSD", programs=True),
    MidiTokRepresentation("Structured"),
    MidiTokRepresentation("Structured", steps_per_quarter=5, longest=2, programs=True),
]


@pytest.mark.parametrize("representation", REPRESENTATIONS, ids=lambda it: f"{it.name} {it.timing}")
def test_every_note_is_counted_once_and_what_is_kept_is_the_result(representation: Representation) -> None:
    @given(pieces())
    @settings(max_examples=50)
    def check(notes: NoteSequence) -> None:
        loss = quantising_loss(representation, notes)
        assert loss.notes == len(notes) == loss.kept + loss.merged + loss.left_out + loss.percussion
        assert loss.kept == len(representation.quantise(notes))
        again = quantising_loss(representation, representation.quantise(notes))
        assert (again.kept, again.moved, again.resized, again.furthest) == (loss.kept, 0, 0, 0.0)

    check()


def test_each_kind_of_loss_in_literal_counts() -> None:
    notes = NoteSequence.from_columns(
        [0, 490, 960, 970, 1440, 1920, 0],
        [480, 960, 1440, 1440, 1450, 2400, 480],
        [60, 62, 64, 64, 66, 10, 36],
        is_drum=[False] * 6 + [True],
    )
    loss = quantising_loss(RollRepresentation(), notes)
    assert (loss.notes, loss.kept, loss.moved, loss.resized) == (7, 4, 1, 1)
    assert (loss.merged, loss.left_out, loss.percussion) == (1, 1, 1)
    assert loss.furthest == pytest.approx(10 / 480)
    assert str(loss) == (
        "4 of 7 notes kept (1 moved, at most 0.021 quarters; 1 resized), 1 merged, 1 left out, 1 drum notes left out"
    )


def test_nothing_lost_is_said_so() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [60, 62])
    assert str(quantising_loss(MelodyRepresentation(), notes)) == "2 of 2 notes kept"


def test_repeated_notes_merge_in_a_joined_roll_and_nowhere_else() -> None:
    notes = NoteSequence.from_columns([0, 480, 960], [480, 960, 1440], 60)
    assert quantising_loss(RollRepresentation(repeats="joined"), notes).merged == 2
    assert quantising_loss(RollRepresentation(), notes).merged == 0


def test_notes_behind_a_silence_that_is_cut_are_moved_not_lost() -> None:
    notes = NoteSequence.from_columns([0, 20 * 480, 21 * 480], [480, 21 * 480, 22 * 480], [60, 60, 62])
    loss = quantising_loss(MidiTokRepresentation("Structured"), notes)
    assert str(loss) == "3 of 3 notes kept (2 moved, at most 12.000 quarters)"


def test_the_clock_of_seconds_is_measured_in_seconds() -> None:
    notes = NoteSequence.from_columns([0, 964], [480, 1440], [60, 62], tempos=[(0, 250_000), (960, 1_000_000)])
    loss = quantising_loss(PerformanceRepresentation(clock="second"), notes)
    assert (loss.moved, loss.unit) == (1, "seconds")
    assert loss.furthest == pytest.approx(4 / 480 - 0.01, abs=1e-9) or loss.furthest < 0.005
