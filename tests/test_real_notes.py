"""Report what representations drop, move and rewrite of real pieces; continue primers at their tempo and metre."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from test_representations import pieces

from cases import case_file
from conftest import Command
from seqaudio.cli.info import describe_midi
from seqaudio.decoding.continuation import like_primer
from seqaudio.ledger import LedgerEntry, Status, read_ledger
from seqaudio.midi import read_midi, write_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.prepare.music.oddities import silence_before, unmarked_drums
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.store import Store
from seqaudio.tokens import ChoraleRepresentation, Representation, build_representation, quantising_loss
from seqaudio.tokens.loss import Loss, total_loss

QUARTER = 480


def prepared(
    command: Command, folder: Path, files: list[Path], representation: str
) -> tuple[str, dict[str, LedgerEntry]]:
    """The printed lines and the ledger of a preparation of copies of files, beside two tunes that lose nothing."""
    source = folder / "source"
    source.mkdir()
    for file in files:
        shutil.copy(file, source)
    for number in range(2):
        draw = np.random.default_rng(number)
        starts = QUARTER * np.arange(24)
        write_midi(
            NoteSequence.from_columns(starts, starts + QUARTER, draw.integers(60, 80, 24)), source / f"z{number}.mid"
        )
    options = ("--representation", representation, "--source", source, "--out", folder / "store")
    done = command("seqaudio", "prepare", "midi_folder", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout, {entry.path: entry for entry in read_ledger(folder / "store" / "ledger.tsv")}


def checked(command: Command, folder: Path) -> str:
    done = command("seqaudio", "check", folder / "store")
    assert done.returncode == 0, done.stderr
    return done.stdout


def line(text: str, subject: str) -> str:
    """The finding of a subject."""
    (found,) = (line for line in text.splitlines() if line[11:].startswith(subject))
    return found


# rows of the index of cases


def test_triplets_on_a_grid_of_sixteenths_are_told_with_the_grid_that_holds_them(
    tmp_path: Path, command: Command
) -> None:
    out, ledger = prepared(command, tmp_path, [case_file("midi", "triplets.mid")], "melody")
    told = "16 of 24 notes were moved by 1/12 quarter at most; --steps-per-quarter 12 holds them"
    assert ledger["triplets.mid"].detail == told
    assert "16 of 72 notes were moved by 1/12 quarter at most; --steps-per-quarter 12 holds them" in out
    assert line(checked(command, tmp_path), "representation").lstrip().startswith("warning")


def test_two_hands_are_more_than_a_melody_or_a_chorale_holds(tmp_path: Path, command: Command) -> None:
    file = case_file("midi", "piano_two_hands.mid")
    out, ledger = prepared(command, tmp_path, [file], "melody")
    told = "melody kept 8 of 40 notes: the highest voice of one track alone; --representation performance keeps all"
    assert ledger[file.name].detail == told
    assert "  melody kept 56 of 88 notes: the highest voice of one track alone; " in out
    chorale = ChoraleRepresentation()
    (told,) = chorale.loss(read_midi(file)).remarks("chorale", chorale.keeps, chorale.instead)
    assert told.startswith("chorale kept 16 of 40 notes: the highest voice of each of four tracks; ")


def test_a_silence_before_the_first_note_is_a_finding(tmp_path: Path, command: Command) -> None:
    _, ledger = prepared(command, tmp_path, [case_file("midi", "late_start.mid")], "melody")
    assert ledger["late_start.mid"].detail == "800 quarters (400 s) of silence before the first note"
    finding = line(checked(command, tmp_path), "silence")
    assert finding.lstrip().startswith("warning") and "up to 95% of the piece" in finding
    assert "late_start.mid (800 quarters)" in finding


def test_a_drum_rack_on_channel_1_is_a_finding(tmp_path: Path, command: Command) -> None:
    out, ledger = prepared(command, tmp_path, [case_file("midi", "drums_on_channel_1.mid")], "performance")
    assert "track 'Drum Rack' is read as pitched notes" in ledger["drums_on_channel_1.mid"].detail
    assert "  1 piece has drums read as notes; seqaudio check names them" in out
    finding = line(checked(command, tmp_path), "drums")
    assert finding.lstrip().startswith("warning") and "'Drum Rack'" in finding


@pytest.mark.parametrize(("representation", "status"), [("miditok:MMM", Status.KEPT), ("melody", Status.REFUSED)])
def test_drums_alone_can_be_learnt_where_drums_are_written(
    tmp_path: Path, command: Command, representation: str, status: Status
) -> None:
    _, ledger = prepared(command, tmp_path, [case_file("midi", "drums_only.mid")], representation)
    entry = ledger["drums_only.mid"]
    assert entry.status is status
    if status is Status.REFUSED:
        assert entry.detail.endswith("which melody leaves out; --representation miditok:MMM writes drums")


def test_a_chorale_keeps_three_four_and_an_upbeat(tmp_path: Path) -> None:
    chorale = ChoraleRepresentation()
    plain = chorale.encode(read_midi(case_file("midi", "plain_3_4.mid")))
    assert chorale.tokens[plain[0]] == "metre_3/4" and chorale.tokens[plain[2]] == "step_0"
    notes = read_midi(case_file("midi", "upbeat_1_4_then_3_4.mid"))
    ids = chorale.encode(notes)
    assert [chorale.tokens[number] for number in ids[:4]] == ["metre_3/4", "bar", "step_8", "note_67"]
    assert np.array_equal(
        ids[ids != chorale.ids.bar][6:12], plain[2:8]
    )  # the bar after the upbeat is that of the other
    assert not chorale.loss(notes)


def test_a_chorale_with_the_bass_first_is_not_upside_down() -> None:
    result = ChoraleRepresentation().quantise(read_midi(case_file("midi", "voices_bass_first.mid")))
    means = [result.pitch[result.track == track].mean() for track in range(4)]
    assert means == sorted(means, reverse=True)


def test_a_change_within_a_bar_is_told_where_it_is_delayed() -> None:
    file = case_file("midi", "metre_change_mid_bar.mid")
    notes = read_midi(file)
    assert [(sign.tick, sign.name) for sign in notes.time_signatures] == [(0, "4/4"), (6 * QUARTER, "3/4")]
    assert "  time signature: 4/4, 3/4" in list(describe_midi(file))
    remi = build_representation("miditok:REMI")
    assert remi.loss(notes).metre == "4/4, 3/4 from quarter 6 are written as 4/4, 3/4 from quarter 8"


def test_a_continuation_keeps_tempo_metre_and_instrument(tmp_path: Path, command: Command, tune_run: Path) -> None:
    file = case_file("midi", "six_eight.mid")
    out = tmp_path / "o.mid"
    done = command("seqaudio", "generate", tune_run, "--primer", file, "--out", out, "--max-events", "300")
    assert done.returncode == 0, done.stderr
    notes, primer = read_midi(out), read_midi(file)
    assert notes.tempo.tolist() == primer.tempo.tolist() == [333_333]
    assert [sign.name for sign in notes.time_signatures] == ["6/8"]
    assert set(notes.program.tolist()) == set(primer.program.tolist())


# of the same kind, made here


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("melody", {}),
        ("performance", {}),
        ("performance", {"clock": "second", "steps_per_second": 8}),
        ("roll", {}),
        ("roll", {"repeats": "joined"}),
        ("chorale", {}),
        ("chorale_grid", {}),
        ("miditok:TSD", {"programs": True}),
        ("miditok:Structured", {}),
    ],
)
def test_the_fast_count_is_that_of_the_comparison_note_by_note(name: str, options: dict[str, Any]) -> None:
    representation: Representation = build_representation(name, options)

    @given(pieces())
    @settings(max_examples=40)
    def check(notes: NoteSequence) -> None:
        exact = quantising_loss(representation, notes)
        fast = representation.loss(notes, representation.encode(notes))
        assert (fast.notes, fast.percussion) == (exact.notes, exact.percussion)
        again = representation.quantise(notes)
        assert not representation.loss(again).moved
        if not name.startswith(("chorale", "miditok")):  # of parts with equal notes either may count as the moved one
            assert (fast.kept, fast.moved) == (exact.kept, exact.moved)
            assert fast.furthest == pytest.approx(exact.furthest)
        assert fast == representation.loss(notes)  # with and without the encoding at hand

    check()


def test_the_sum_over_pieces_proposes_a_grid_for_all() -> None:
    eighths = Loss(10, 10, moved=2, furthest=1 / 8, grid=8)
    triplets = Loss(20, 15, percussion=5, moved=3, furthest=1 / 12, grid=12)
    total = total_loss([eighths, triplets, Loss(5, 5)])
    assert (total.notes, total.kept, total.percussion, total.moved, total.grid) == (35, 30, 5, 5, 24)
    assert total_loss([eighths, Loss(3, 3, moved=1, furthest=0.01)]).grid == 0  # nothing holds the notes of the second
    lines = total.remarks("melody", "the highest voice")
    assert lines[0] == "melody kept 30 of 35 notes: 5 of drums left out; --representation miditok:MMM keeps drums"


def test_facts_tell_the_loss_and_older_facts_can_be_read() -> None:
    notes = NoteSequence.from_columns([0, 10], [480, 490], [60, 64], track_names=["Kit"])
    facts = PieceFacts.of(notes, Loss(2, 1, metre="6/8 is written as 3/4"))
    assert PieceFacts.from_text(facts.to_text()) == facts
    plain = PieceFacts.of(notes.with_columns(pitch=[50, 51]), Loss(2, 2))
    assert "loss" not in plain.to_text()
    old = '{"notes":2,"metres":[],"keys":[],"slowest":120.0,"fastest":120.0,"programs":[0],"percussion":false}'
    assert PieceFacts.from_text(old) == PieceFacts(2, (), (), 120.0, 120.0, (0,), False)


@pytest.mark.parametrize("name", ["Drums", "PERCUSSION", "Perc 1", "808 Kit", "drumkit", "Hi-Hat", "Snare"])
def test_names_of_drums_are_known(name: str) -> None:
    notes = NoteSequence.from_columns([0], [480], [36], track_names=[name])
    assert unmarked_drums(notes) == (name,)
    assert unmarked_drums(notes.with_columns(is_drum=True)) == ()


@pytest.mark.parametrize("name", ["", "Steel Drums", "Kitchen", "Melodic Tom", "Piano", "Perceval", "Tuned percussion"])
def test_names_of_other_instruments_are_not(name: str) -> None:
    assert unmarked_drums(NoteSequence.from_columns([0], [480], [60], track_names=[name])) == ()


def test_a_bar_of_silence_is_usual_and_more_is_told() -> None:
    def late(quarters: int) -> NoteSequence:
        start = QUARTER * quarters
        return NoteSequence.from_columns([start], [start + 1], [60], time_signatures=[TimeSignature(0, 3, 4)])

    assert [silence_before(late(quarters)) for quarters in (0, 3, 4)] == [0, 0, 4]


def test_an_upbeat_is_silence_and_then_the_rest_of_a_full_bar() -> None:
    chorale = ChoraleRepresentation()
    starts = QUARTER // 2 * np.arange(9)
    signs = [TimeSignature(0, 1, 8), TimeSignature(QUARTER // 2, 4, 4)]
    notes = NoteSequence.from_columns(starts, starts + QUARTER // 2, np.arange(60, 69), time_signatures=signs)
    result = chorale.quantise(notes)
    assert result.start_tick.tolist() == list(range(14, 32, 2))
    assert [(sign.tick, sign.name) for sign in result.time_signatures] == [(0, "4/4")]
    assert not chorale.loss(notes)
    # a longer first bar is no upbeat
    signs = [TimeSignature(0, 4, 4), TimeSignature(4 * QUARTER, 3, 4)]
    changed = NoteSequence.from_columns(starts, starts + QUARTER // 2, np.arange(60, 69), time_signatures=signs)
    assert chorale.quantise(changed).start_tick[0] == 0
    assert chorale.loss(changed).metre == "4/4, 3/4 from quarter 4 are written as 4/4"


@pytest.mark.parametrize(
    ("name", "options"),
    [("melody", {}), ("performance", {}), ("performance", {"clock": "second"}), ("chorale", {}), ("miditok:REMI", {})],
)
def test_what_no_token_holds_comes_from_the_primer(name: str, options: dict[str, Any]) -> None:
    starts = QUARTER // 2 * np.arange(24)
    primer = NoteSequence.from_columns(
        starts, starts + QUARTER // 2, 60 + np.arange(24) % 7, program=73,
        tempos=[(0, 400_000), (6 * QUARTER, 800_000), (99 * QUARTER, 200_000)],
        time_signatures=[TimeSignature(0, 6, 8), TimeSignature(6 * QUARTER, 9, 8)],
    )  # fmt: skip
    representation = build_representation(name, options)
    more = np.append(starts, starts + 12 * QUARTER)
    seconds = representation.timing == "second"
    longer = NoteSequence.from_columns(
        more, more + QUARTER // 2, np.append(primer.pitch, 70 + np.arange(24) % 5),
        tempos=[(0, 400_000), (6 * QUARTER, 800_000)], time_signatures=primer.time_signatures,
    )  # fmt: skip
    made = like_primer(representation.quantise(longer), primer, representation)
    assert len(made) == 48 and set(made.program.tolist()) == {73}
    assert made.tempo.tolist() == [400_000, 800_000]  # the third lies behind the primer
    signs = [(sign.tick / made.ticks_per_quarter, sign.name) for sign in made.time_signatures]
    assert signs[:2] == [(0, "6/8"), (6, "9/8")]
    assert np.abs(made.start - longer.start).max() < (0.011 if seconds else 1e-9)


def test_the_model_may_change_the_metre_behind_the_primer() -> None:
    remi = build_representation("miditok:REMI")
    starts = QUARTER * np.arange(12)
    signs = [TimeSignature(0, 6, 8), TimeSignature(6 * QUARTER, 5, 4)]
    longer = NoteSequence.from_columns(starts, starts + QUARTER, np.arange(60, 72), time_signatures=signs)
    primer = longer.select(starts < 6 * QUARTER)
    made = like_primer(remi.quantise(longer), primer, remi)
    assert [sign.name for sign in made.time_signatures] == ["6/8", "5/4"]


def test_a_store_of_scores_and_of_every_representation_holds_what_its_ledger_tells(
    tmp_path: Path, command: Command
) -> None:
    starts = 160 * np.arange(13)
    tune = NoteSequence.from_columns(np.tile(starts, 2), np.tile(starts + 160, 2), np.repeat([60, 72], 13))
    write_midi(tune, tmp_path / "tune.mid")
    for representation in ("melody", "chorale", "chorale_grid", "roll", "performance", "miditok:TSD"):
        folder = tmp_path / representation.replace(":", "_")
        folder.mkdir()
        _, ledger = prepared(command, folder, [tmp_path / "tune.mid"], representation)
        store = Store(folder / "store")
        texts = [text for split in store.counts for text in store[split].column("text")]
        facts = [piece for piece in map(PieceFacts.from_text, texts) if piece is not None and piece.notes == 26]
        assert len(facts) == 1
        assert bool(facts[0].loss) == bool(ledger["tune.mid"].detail)
