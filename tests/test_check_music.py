"""The check of a store of notes: what it says in words is so, and every fault that is built in is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from legibility import assert_legible, words
from seqaudio.checking import Contents, Finding, Level, Report, music
from seqaudio.checking.music import music_of
from seqaudio.checking.music_drawing import draw_music
from seqaudio.checking.notes import FEW_NOTES, MANY_NOTES, NOTES
from seqaudio.errors import InputFileError, StoreError
from seqaudio.ledger import Reason
from seqaudio.notes import KeySignature, NoteSequence, TimeSignature
from seqaudio.notes.keys import key_name
from seqaudio.pictures import new_figure
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.music.options import note_description
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.store import Store
from seqaudio.tokens import build_representation

SIZES = {"train": 40, "valid": 12, "test": 12}
# steps of C major in quarters, so that the key is plain
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def song(seed: int, length: int = 40, semitones: int = 0, **more: Any) -> NoteSequence:
    """A made-up melody in C major, or in another key, over its tonic chord."""
    draw = np.random.default_rng(seed)
    lengths = 240 * draw.integers(1, 4, size=length)
    start = np.cumsum(lengths) - lengths
    end = int(start[-1] + lengths[-1])
    return NoteSequence.from_columns(
        np.concatenate([start, [0] * 3]),
        np.concatenate([start + lengths, [end] * 3]),
        np.concatenate([72 + SCALE[draw.integers(0, 8, size=length)], [48, 52, 55]]) + semitones,
        **{"velocity": 64, "tempos": [(0, 500_000)], **more},
    )


@dataclass(frozen=True, eq=False)
class Songs:
    """Rows of songs at hand, by the item's key; a refused item has its reason for a label."""

    name: str
    songs: dict[str, NoteSequence] = field(default_factory=dict)
    facts: bool = True

    def __call__(self, item: Item) -> list[Row]:
        if item.key not in self.songs:
            raise InputFileError(item.key, Reason(item.text), "made up")
        notes = self.songs[item.key]
        text = PieceFacts.of(notes).to_text() if self.facts else ""
        encoded = build_representation(self.name).encode(notes)
        return [Row(item.id, encoded, notes.duration, text=text, remark=item.condition)]


def sound_songs() -> dict[str, NoteSequence]:
    """Songs by split/number; their keys are those of C, G and D major."""
    return {
        f"{split}/{number}": song(100 * place + number, semitones=(0, 7, 2)[number % 3])
        for place, (split, count) in enumerate(SIZES.items())
        for number in range(count)
    }


def store_of(
    folder: Path, songs: dict[str, NoteSequence], *, name: str = "performance", lost: Sequence[Item] = (), **more: Any
) -> Store:
    items = [Item(key, None, key, key.split("/")[0]) for key in songs]
    description = note_description(build_representation(name), "made up")
    return build_store(folder / "store", [*items, *lost], Songs(name, songs, **more), description, force=True)


def report_on(store: Store) -> Report:
    contents = Contents(store)
    return Report(contents, tuple(check(contents) for check in NOTES))


def finding(report: Report, subject: str) -> Finding:
    (found,) = (found for found in report.findings if found.subject == subject)
    return found


# what is understood


def test_what_a_store_holds_is_told_in_words(tmp_path: Path) -> None:
    songs = sound_songs()
    signatures = [TimeSignature(0, 3, 4)], [TimeSignature(0, 6, 8), TimeSignature(1440, 3, 4)], []
    for number, (key, notes) in enumerate(songs.items()):
        songs[key] = replace(
            notes.with_columns(program=0 if number % 2 else 40),
            time_signatures=tuple(signatures[number % 3]),
            key_signatures=(KeySignature(0, 1),) if number < 5 else (),
            tempo=np.array([600_000 if number < 10 else 300_000]),
        )
    report = report_on(store_of(tmp_path, songs))
    assert finding(report, "keys").verdict == (
        "C major (22), D major (21), G major (21), estimated from the notes; 5 files have key signatures, G major (5)"
    )
    assert finding(report, "time signatures").verdict == (
        "3/4 (22), 4/4 (21), 6/8 (21); 21 files have none, which means 4/4; 21 files change it"
    )
    assert finding(report, "tempos").verdict == "100 to 200 quarters a minute, median of the files 200"
    assert finding(report, "instruments").verdict.startswith("Acoustic Grand Piano (32), Violin (32). Most")
    assert "all notes equally loud" in finding(report, "notes").verdict
    assert finding(report, "files").verdict == "64 of 64 inputs kept, 64 pieces"
    assert finding(report, "versions").verdict == "no melody is in more than one split"
    assert "median" in finding(report, "pieces").verdict


def test_a_single_file_has_its_verb(tmp_path: Path) -> None:
    songs = {key: replace(notes, time_signatures=(TimeSignature(0, 3, 4),)) for key, notes in sound_songs().items()}
    changing = (TimeSignature(0, 6, 8), TimeSignature(1440, 3, 4))
    songs["train/3"] = replace(songs["train/3"], time_signatures=changing, key_signatures=(KeySignature(0, 1),))
    songs["train/4"] = replace(songs["train/4"], time_signatures=())
    report = report_on(store_of(tmp_path, songs))
    verdict = finding(report, "time signatures").verdict
    assert verdict.endswith("; 1 file has none, which means 4/4; 1 file changes it")
    assert finding(report, "keys").verdict.endswith("; 1 file has a key signature, G major (1)")


def test_a_corpus_without_tempo_dynamics_or_facts_is_told(tmp_path: Path) -> None:
    report = report_on(store_of(tmp_path, sound_songs()))
    assert "120 quarters a minute in every file, the default where a file gives no tempo" in str(report)
    report = report_on(store_of(tmp_path, sound_songs(), facts=False))
    for subject in ("time signatures", "tempos", "instruments"):
        assert finding(report, subject).verdict.startswith("unknown")
    loud = {key: notes.with_columns(velocity=20 + np.arange(len(notes))) for key, notes in sound_songs().items()}
    assert "velocities mostly" in finding(report_on(store_of(tmp_path, loud)), "notes").verdict


def test_all_in_one_key_is_a_note(tmp_path: Path) -> None:
    songs = {key: song(number) for number, key in enumerate(sound_songs())}
    found = finding(report_on(store_of(tmp_path, songs)), "keys")
    assert (found.level, found.verdict) == (
        Level.NOTE,
        "all pieces are in one key, so generated music will be too: C major (64), estimated from the notes",
    )


@pytest.mark.parametrize("sharps", range(-7, 8))
def test_keys_have_the_names_of_the_circle_of_fifths(sharps: int) -> None:
    fifths = "FCGDAEB"
    tonic = sharps + 1  # C is the second of them
    sign = {-1: "b", 0: "", 1: "#"}
    assert key_name(KeySignature(0, sharps)) == f"{fifths[tonic % 7]}{sign[tonic // 7]} major"
    assert key_name(KeySignature(0, sharps, True)) == f"{fifths[(tonic + 3) % 7]}{sign[(tonic + 3) // 7]} minor"


# whether it is enough


@pytest.mark.parametrize(
    ("length", "level", "words"),
    [
        (40, Level.WARNING, "a network trained on this alone would overfit. Train on a larger corpus first"),
        (FEW_NOTES // 40, Level.WARNING, "40 pieces"),  # enough notes, but too few pieces
    ],
)
def test_a_small_folder_is_advised_to_start_from_another_run(
    tmp_path: Path, length: int, level: Level, words: str
) -> None:
    songs = sound_songs() | {f"train/{number}": song(number, length=length) for number in range(40)}
    found = finding(report_on(store_of(tmp_path, songs)), "amount")
    assert found.level is level
    assert words in found.verdict
    assert f"seqaudio train music_generation --start-from RUN --store {tmp_path / 'store'}" in found.verdict


def test_larger_corpora_are_enough_for_small_nets_and_then_for_any(tmp_path: Path) -> None:
    for notes, level, told in (
        (FEW_NOTES, Level.NOTE, "enough for a small network"),
        (MANY_NOTES, Level.GOOD, "notes to train on: enough"),
    ):
        songs = sound_songs() | {f"train/{number}": song(number, length=notes // 60) for number in range(60)}
        found = finding(report_on(store_of(tmp_path, songs)), "amount")
        assert found.level is level
        assert told in found.verdict


def test_a_missing_split_is_a_fault_and_a_small_one_a_warning(tmp_path: Path) -> None:
    songs = {f"train/{number}": song(number, length=500) for number in range(60)}
    found = finding(report_on(store_of(tmp_path, songs)), "amount")
    assert (found.level, found.verdict) == (
        Level.FAULT,
        "no pieces in the split valid; training needs both train and valid. Add pieces, or prepare your folder again "
        "with --test-percent 0 or another --valid-percent",
    )
    # of little there is more to say
    found = finding(report_on(store_of(tmp_path, {f"train/{number}": song(number) for number in range(2)})), "amount")
    assert found.level is Level.FAULT
    assert found.verdict.startswith("no pieces in the split valid; training needs both train and valid. Add pieces, or")
    assert f"seqaudio train music_generation --start-from RUN --store {tmp_path / 'store'}" in found.verdict
    found = finding(report_on(store_of(tmp_path, songs | {"valid/0": song(99)})), "amount")
    assert found.level is Level.WARNING
    assert "only 1 piece to validate on" in found.verdict


# what is wrong


def test_a_version_in_another_split_is_found_whatever_its_key(tmp_path: Path) -> None:
    songs = sound_songs()
    songs["test/3"] = songs["train/5"].with_columns(pitch=songs["train/5"].pitch + 3)
    report = report_on(store_of(tmp_path, songs))
    found = finding(report, "versions")
    assert (found.level, found.examples) == (Level.WARNING, ("train/5 = test/3",))
    assert "1 melody is in more than one split, with 1 piece of the test split" in found.verdict
    assert finding(report, "leaks").level is Level.GOOD
    songs["test/3"] = songs["train/5"]
    assert finding(report_on(store_of(tmp_path, songs)), "leaks").level is Level.FAULT
    songs["test/3"], songs["train/6"] = song(999), songs["train/5"].with_columns(pitch=songs["train/5"].pitch + 3)
    found = finding(report_on(store_of(tmp_path, songs)), "versions")
    assert (found.level, found.verdict) == (
        Level.GOOD,
        "no melody is in more than one split; 1 piece has several versions, each within one split",
    )


def test_reasons_of_the_ledger_are_summed_up_in_words(tmp_path: Path) -> None:
    reasons = ["no_notes"] * 3 + ["truncated"] * 2 + ["too_long", "percussion_only", "parser_crashed", "duplicate"]
    lost = [Item(f"lost{number}.mid", None, f"lost{number}", "train", text=why) for number, why in enumerate(reasons)]
    songs = sound_songs()
    found = finding(report_on(store_of(tmp_path, songs, lost=lost)), "files")
    assert found.level is Level.WARNING
    assert found.verdict == (
        "64 of 73 inputs kept, 64 pieces. Left out: 3 without notes, 2 truncated, 1 too long, "
        "1 with percussion only, 1 that crashed the parser, 1 with the same content as another"
    )
    assert found.examples[3] == "lost3.mid (truncated)"
    # what is left out on purpose is no warning
    copies = [Item(f"lost{number}.mid", None, f"lost{number}", "train", text="duplicate") for number in range(9)]
    assert finding(report_on(store_of(tmp_path, songs, lost=copies)), "files").level is Level.NOTE
    store = store_of(tmp_path, songs)
    (store.path / "ledger.tsv").unlink()
    assert "no ledger.tsv" in finding(report_on(store), "files").verdict


def test_one_file_is_told_as_one(tmp_path: Path) -> None:
    songs = sound_songs()
    signatures = (TimeSignature(0, 6, 8), TimeSignature(1440, 3, 4))
    for number, (key, notes) in enumerate(songs.items()):
        songs[key] = replace(notes, time_signatures=signatures[: 2 - bool(number)] if number < 63 else ())
    verdict = finding(report_on(store_of(tmp_path, songs)), "time signatures").verdict
    assert verdict.endswith("1 file has none, which means 4/4; 1 file changes it")


def test_every_reason_of_the_reader_has_its_words() -> None:
    from seqaudio.checking.notes import WORDS

    spoken = {Reason.NOT_AUDIO, Reason.NOT_TEXT, Reason.NOT_FINITE, Reason.NO_LABEL, Reason.NEEDS_EXTRA}
    spoken |= {Reason.OTHER_UNIT}
    assert set(Reason) - set(WORDS) - {Reason.NONE} == spoken | {Reason.NOT_NEEDED}


def test_very_long_pieces_are_named(tmp_path: Path) -> None:
    songs = sound_songs() | {"train/9": song(9, length=1500)}
    found = finding(report_on(store_of(tmp_path, songs)), "pieces")
    assert found.level is Level.NOTE
    assert found.examples[0].startswith("train/9 (")


def test_rows_that_the_representation_does_not_write_are_a_fault(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Nonsense(Songs):
        def __call__(self, item: Item) -> list[Row]:
            (row,) = super().__call__(item)
            return [replace(row, sequence=row.sequence[::-1].copy()) if item.key == "train/7" else row]

    items = [Item(key, None, key, key.split("/")[0]) for key in sound_songs()]
    description = note_description(build_representation("performance"))
    report = report_on(build_store(tmp_path / "store", items, Nonsense("performance", sound_songs()), description))
    found = finding(report, "pieces")
    assert found.level is Level.FAULT
    assert found.examples[0].startswith("train/7 (position 0: ")


def test_stores_that_do_not_tell_their_representation_are_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, sound_songs())
    store.settings.clear()
    with pytest.raises(StoreError, match="does not name the representation of its notes"):
        music_of(Contents(store))
    store = store_of(tmp_path, sound_songs())
    store.settings["representation"]["steps_per_quarter"] = 24
    with pytest.raises(StoreError, match="has other tokens than performance in this version"):
        music_of(Contents(store))


def test_of_a_large_store_some_pieces_are_drawn_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "MAX_STEPS", 3000)
    store = store_of(tmp_path, sound_songs())
    whole = sum(count.steps for count in store.counts.values())
    report = report_on(store)
    decoded = len(music_of(report.contents).decoded)
    assert 10 < decoded < 64
    assert whole > 6000
    for subject in ("keys", "versions", "notes"):
        assert f"(in a sample of {decoded} pieces)" in finding(report, subject).verdict
    # the notes to train on are extrapolated to all pieces
    assert "about 1,7" in finding(report, "amount").verdict


@pytest.mark.parametrize("name", ["melody", "chorale", "chorale_grid", "roll"])
def test_every_representation_can_be_checked(tmp_path: Path, name: str) -> None:
    report = report_on(store_of(tmp_path, sound_songs(), name=name))
    assert finding(report, "pieces").level is Level.GOOD
    assert "C major" in finding(report, "keys").verdict
    assert ("frames" in finding(report, "pieces").verdict) == (name == "roll")


def test_published_rolls_that_end_in_silence_can_be_checked(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Silent(Songs):
        def __call__(self, item: Item) -> list[Row]:
            (row,) = super().__call__(item)
            return [replace(row, sequence=np.concatenate([row.sequence, np.zeros((3, 88), np.uint8)]))]

    items = [Item(key, None, key, key.split("/")[0]) for key in sound_songs()]
    description = note_description(build_representation("roll"))
    report = report_on(build_store(tmp_path / "store", items, Silent("roll", sound_songs()), description))
    assert finding(report, "pieces").level is Level.GOOD


# facts and figure


def test_facts_are_read_as_they_were_written() -> None:
    notes = replace(song(1, is_drum=[True] + [False] * 42), time_signatures=(TimeSignature(0, 3, 4),))
    facts = PieceFacts.of(notes)
    assert facts == PieceFacts(43, ("3/4",), (), 120.0, 120.0, (0,), True)
    assert PieceFacts.from_text(facts.to_text()) == facts
    for other in ("", "some words", "[]", "3", "{}", '{"notes": 3}', '{"metres": 3, "keys": [], "programs": []}'):
        assert PieceFacts.from_text(other) is None


@pytest.mark.parametrize(("name", "unit"), [("performance", "quarters"), ("roll", "quarters")])
def test_the_figure_is_legible_and_counts_every_note(tmp_path: Path, name: str, unit: str) -> None:
    contents = Contents(store_of(tmp_path, sound_songs(), name=name))
    figure = new_figure(10, 4)
    draw_music(figure, contents, 0.15, 0.8)
    assert_legible(figure)
    assert {
        "notes by pitch",
        f"notes by length ({unit})",
        "notes by velocity",
        "pieces by notes per second",
    } <= set(words(figure))
    pieces = [notes for _, notes in music_of(contents).decoded]
    drawn = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes]
    assert drawn == [sum(map(len, pieces))] * 3 + [len(pieces)]


def test_lengths_are_in_seconds_where_the_clock_is(tmp_path: Path) -> None:
    representation = build_representation("performance", {"clock": "second"})

    @dataclass(frozen=True)
    class Seconds(Songs):
        def __call__(self, item: Item) -> list[Row]:
            (row,) = super().__call__(item)
            return [replace(row, sequence=representation.encode(self.songs[item.key]))]

    items = [Item(key, None, key, key.split("/")[0]) for key in sound_songs()]
    process = Seconds("performance", sound_songs())
    contents = Contents(build_store(tmp_path / "store", items, process, note_description(representation)))
    figure = new_figure(10, 4)
    draw_music(figure, contents, 0.15, 0.8)
    assert_legible(figure)
    assert "notes by length (seconds)" in words(figure)


def test_extremes_stay_legible(tmp_path: Path) -> None:
    songs = sound_songs()
    songs["train/0"] = song(0).with_columns(pitch=np.linspace(0, 127, 43).astype(np.int16))
    songs["train/1"] = replace(song(1), tempo=np.array([100]))  # five thousand times as fast
    contents = Contents(store_of(tmp_path, songs))
    figure = new_figure(10, 4)
    draw_music(figure, contents, 0.15, 0.8)
    assert_legible(figure)
    assert {"C-1", "C9"} & set(words(figure))
