"""A folder of MIDI becomes a store of tokens: copies stay together, bad files are accounted for."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Command, assert_refused
from seqaudio.cli.info import describe_midi
from seqaudio.errors import InputFileError, MidiError, OptionError
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.midi import read_midi
from seqaudio.midi.writing import midi_bytes, write_midi
from seqaudio.notes import NoteSequence, quantise
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.near_duplicates import content_hash
from seqaudio.prepare.music.options import midi_items, note_description
from seqaudio.store import Store
from seqaudio.tokens import build_representation

TUNES = 40


def tune(seed: int, **more: Any) -> NoteSequence:
    """A made-up melody of 24 notes over two held chords."""
    draw = np.random.default_rng(seed)
    length = draw.choice([120, 240, 480], size=24)
    start = np.cumsum(length) - length
    bars = np.arange(6) // 3 * 2880
    return NoteSequence.from_columns(
        np.concatenate([start, bars]),
        np.concatenate([start + length, bars + 2880]),
        np.concatenate([draw.integers(60, 80, size=24), np.tile([40, 44, 47], 2)]),
        track=np.repeat([0, 1], [24, 6]),
        **more,
    )


def transposed(notes: NoteSequence, semitones: int) -> NoteSequence:
    return notes.with_columns(pitch=notes.pitch + np.int16(semitones))


@pytest.fixture(scope="module")
def tune_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty tunes, a copy and a transposition of each of the first ten, and files that must be refused."""
    folder = tmp_path_factory.mktemp("tunes")
    (folder / "book one").mkdir()
    (folder / "others" / "deep").mkdir(parents=True)
    for seed in range(TUNES):
        write_midi(tune(seed), folder / "book one" / f"tune{seed:02d}.mid")
    for seed in range(10):
        write_midi(tune(seed), folder / "others" / f"copy{seed}.MIDI")
        write_midi(transposed(tune(seed), seed - 5), folder / "others" / "deep" / f"transposed{seed}.Mid")
    bad = folder / "others" / "bad"
    bad.mkdir()
    (bad / "empty.mid").write_bytes(b"")
    (bad / "letter.mid").write_bytes(b"Dear Sir")
    (bad / "half.mid").write_bytes(midi_bytes(tune(0))[:100])
    write_midi(NoteSequence.from_columns([0], [480], [36], is_drum=True), bad / "drums.mid")
    write_midi(NoteSequence.from_columns([], [], []), bad / "silence.mid")
    # fourteen hours of pause
    write_midi(NoteSequence.from_columns([0, 480 * 100_000], [480, 480 * 100_001], [60, 60]), bad / "pause.mid")
    (folder / "notes.txt").write_text("no MIDI")
    (folder / "book one" / ".hidden.mid").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def store(tune_folder: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("stores") / "tunes"
    done = command("data_prep/midi_folder.py", "--source", tune_folder, "--out", out, "--name", "made up")
    assert done.returncode == 0, done.stderr
    assert "60 kept, 6 refused" in done.stdout
    return Store(out)


def representation_of(store: Store) -> Any:
    settings = dict(store.settings["representation"])
    return build_representation(settings.pop("name"), settings)


def test_tokens_of_the_store_decode_to_the_tunes(store: Store) -> None:
    representation = representation_of(store)
    assert store.kind == "tokens"
    assert store.names.names == representation.tokens
    assert store.sources == ("made up",)
    found = 0
    for split in store.counts:
        for name, ids in zip(store[split].ids, store[split], strict=True):
            if name.startswith("book one/tune"):
                seed = int(name.removeprefix("book one/tune").removesuffix(".mid"))
                assert representation.decode(ids) == representation.quantise(tune(seed))
                found += 1
    assert found == TUNES


def test_every_input_is_in_the_ledger_once_with_its_reason(store: Store) -> None:
    entries = {entry.path: entry for entry in read_ledger(store.path / "ledger.tsv")}
    assert len(entries) == 66
    assert list(entries) == sorted(entries)
    reasons = {path.split("/")[-1]: entry.reason for path, entry in entries.items() if entry.status is Status.REFUSED}
    assert reasons == {
        "drums.mid": Reason.PERCUSSION_ONLY,
        "empty.mid": Reason.EMPTY,
        "half.mid": Reason.TRUNCATED,
        "letter.mid": Reason.NOT_MIDI,
        "pause.mid": Reason.TOO_LONG,
        "silence.mid": Reason.NO_NOTES,
    }


def test_copies_and_transpositions_fall_into_the_split_of_their_tune(store: Store) -> None:
    split_of = {entry.path: entry.split for entry in read_ledger(store.path / "ledger.tsv")}
    splits = [split_of[f"book one/tune{seed:02d}.mid"] for seed in range(TUNES)]
    for seed in range(10):
        assert split_of[f"others/copy{seed}.MIDI"] == splits[seed]
        assert split_of[f"others/deep/transposed{seed}.Mid"] == splits[seed]
    counts = Counter(splits)
    assert counts["train"] > 24
    assert counts["valid"] > 0
    assert counts["test"] > 0


def test_workers_change_no_byte(tune_folder: Path, store: Store, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "tunes"
    arguments = ("--source", tune_folder, "--out", out, "--name", "made up", "--workers", "2")
    done = command("data_prep/midi_folder.py", *arguments)
    assert done.returncode == 0, done.stderr
    for file in sorted(store.path.iterdir()):
        assert (out / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_melody_store_holds_one_voice(tune_folder: Path, command: Command, tmp_path: Path) -> None:
    options = ("--representation", "melody", "--steps-per-quarter", "8", "--limit", "12")
    done = command("data_prep/midi_folder.py", "--source", tune_folder, "--out", tmp_path / "melodies", *options)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "melodies")
    representation = representation_of(store)
    assert (representation.name, representation.steps_per_quarter) == ("melody", 8)
    notes = representation.decode(store["train"].sequence(0))
    name = store["train"].ids[0]
    assert notes == representation.quantise(read_midi(tune_folder / name))
    assert len(notes) == 24


def test_bad_sources_and_options_are_refused_in_one_line(
    command: Command, tune_folder: Path, store: Store, tmp_path: Path
) -> None:
    script, out = "data_prep/midi_folder.py", tmp_path / "out"
    (tmp_path / "empty").mkdir()
    refusals: list[tuple[Path, Path, tuple[str, ...], str]] = [
        (tmp_path / "gone", out, (), "no such folder"),
        (tmp_path / "empty", out, (), "has no MIDI files"),
        (tune_folder / "others" / "bad", out, (), "none of the 6 inputs could be kept"),
        (tune_folder, store.path, (), "give --force"),
        (tune_folder, out, ("--valid-percent", "60", "--test-percent", "40"), "less than 100 together"),
        (tune_folder, out, ("--clock", "second", "--steps-per-quarter", "4"), "exclude each other"),
        (tune_folder, out, ("--representation", "melody", "--clock", "beat"), "melody has no setting 'clock'"),
    ]
    for source, place, options, words in refusals:
        assert_refused(command(script, "--source", source, "--out", place, *options), words)
    assert not out.exists()


def preparation(**more: Any) -> MidiPreparation:
    return MidiPreparation(build_representation("performance"), **more)


def test_a_file_of_several_songs_gives_a_row_for_each(tmp_path: Path) -> None:
    songs = [midi_bytes(NoteSequence.from_columns([0], [480 * count], [60])) for count in (1, 2)]
    header = b"MThd\0\0\0\6\0\2\0\2\1\xe0"
    # of each file the second track; the first is its conductor
    path = tmp_path / "songs.mid"
    path.write_bytes(header + b"".join(song[song.rindex(b"MTrk") :] for song in songs))
    rows = preparation()(Item("songs.mid", path, "songs.mid"))
    assert [row.id for row in rows] == ["songs.mid#1", "songs.mid#2"]
    assert [row.duration for row in rows] == [0.5, 1.0]


def test_of_many_remarks_the_first_few_and_their_number_are_kept(tmp_path: Path) -> None:
    data = midi_bytes(tune(1))
    place = data.index(b"MTrk") + 8  # metres of no denominator, before what the conductor track holds
    for count, more in ((2, ""), (1_500, "; and 1,497 more remarks")):
        metres = bytes.fromhex("00 ff5804 04ff1808") * count
        length = int.from_bytes(data[place - 4 : place], "big") + len(metres)
        path = tmp_path / f"{count}.mid"
        path.write_bytes(data[: place - 4] + length.to_bytes(4, "big") + metres + data[place:])
        (row,) = preparation()(Item(path.name, path, path.name))
        assert row.remark.endswith(more)
        assert row.remark.count("time signature 4/0") == min(count, 3)
        assert more.removeprefix("; ") in list(describe_midi(path))[-1]


@pytest.mark.parametrize(("name", "several"), [("melody", 1), ("performance", 3), ("roll", 2)])
def test_neither_workers_nor_chunks_change_a_byte(tune_folder: Path, tmp_path: Path, name: str, several: int) -> None:
    representation = build_representation(name)
    items = midi_items(tune_folder, "tunes")
    description = note_description(representation)
    for place, workers, chunk in (("one", 1, None), ("several", several, 7), ("small", 1, 1)):
        process = MidiPreparation(representation)
        build_store(tmp_path / place, items, process, description, workers=workers, chunk=chunk)
    for file in sorted((tmp_path / "one").iterdir()):
        content = file.read_bytes()
        assert (tmp_path / "several" / file.name).read_bytes() == content
        assert (tmp_path / "small" / file.name).read_bytes() == content


def test_many_files_give_the_rows_of_each_alone(tune_folder: Path) -> None:
    items = midi_items(tune_folder, "tunes")
    process = preparation()
    for item, found in zip(items, process.many(items), strict=True):
        try:
            expected = process(item)
        except MidiError as error:
            assert isinstance(found, MidiError)
            assert (found.reason, found.detail) == (error.reason, error.detail)
            continue
        assert not isinstance(found, InputFileError)
        for row, other in zip(found, expected, strict=True):
            assert np.array_equal(row.sequence, other.sequence)
            assert dataclasses.replace(row, sequence=other.sequence).__dict__ == other.__dict__


def test_a_given_split_is_kept(tmp_path: Path) -> None:
    write_midi(tune(1), tmp_path / "tune.mid")
    (row,) = preparation()(Item("tune.mid", tmp_path / "tune.mid", "tune", split="test"))
    assert row.split == "test"


def test_pieces_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    write_midi(tune(1), tmp_path / "tune.mid")
    item = Item("tune.mid", tmp_path / "tune.mid", "tune")
    with pytest.raises(MidiError, match=r"too_long: 0 minutes, at most 0\.05 are taken"):
        preparation(longest_minutes=0.05)(item)


def test_pieces_of_too_many_quarters_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """At a microsecond a quarter two thousand million quarters last half an hour."""
    far = bytes.fromhex("00ff5103000001 ffffff7f903c50 ffffff7f903c00 ffffff7f903c50 01903c00 00ff2f00")
    head = bytes.fromhex("4d546864 00000006 0000 0001 0001 4d54726b")
    (tmp_path / "far.mid").write_bytes(head + len(far).to_bytes(4, "big") + far)
    item = Item("far.mid", tmp_path / "far.mid", "far")
    with pytest.raises(MidiError, match="too_long: 805,306,366 quarters, at most 72,000 are taken"):
        preparation()(item)


def test_notes_that_the_representation_cannot_say_are_named_as_the_reason(tmp_path: Path) -> None:
    write_midi(NoteSequence.from_columns([0, 480], [480, 960], [3, 5]), tmp_path / "low.mid")
    item = Item("low.mid", tmp_path / "low.mid", "low")
    with pytest.raises(MidiError, match="no_notes: no notes that roll can say"):
        MidiPreparation(build_representation("roll"))(item)
    assert len(preparation()(item)) == 1


def test_the_pedal_holds_notes_where_that_is_asked_for(tmp_path: Path) -> None:
    notes = NoteSequence.from_columns([0, 960], [240, 1200], [60, 64], pedals=[(0, 0, 960)])
    write_midi(notes, tmp_path / "tune.mid")
    item = Item("tune.mid", tmp_path / "tune.mid", "tune")
    process = preparation()
    for pedal, ends in (("kept", [6, 30]), ("applied", [24, 30])):
        (row,) = dataclasses.replace(process, pedal=pedal)(item)
        assert process.representation.decode(row.sequence).end_tick.tolist() == ends


def test_edited_versions_of_a_piece_stay_together_unless_hashed(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    for seed in range(12):
        plain = tune(seed)
        pitch = plain.pitch.copy()
        pitch[5] += 1
        write_midi(plain, folder / f"{seed:02d}-plain.mid")
        write_midi(plain.with_columns(pitch=pitch), folder / f"{seed:02d}-edited.mid")
    together = {}
    for versions in ("together", "hashed"):
        options = ("--versions", versions, "--valid-percent", "30", "--test-percent", "30")
        done = command("data_prep/midi_folder.py", "--source", folder, "--out", tmp_path / versions, *options)
        assert done.returncode == 0, done.stderr
        split = {entry.path: entry.split for entry in read_ledger(tmp_path / versions / "ledger.tsv")}
        together[versions] = [split[f"{n:02d}-plain.mid"] == split[f"{n:02d}-edited.mid"] for n in range(12)]
    assert all(together["together"])
    assert not all(together["hashed"])


def test_a_longest_piece_of_no_length_is_refused() -> None:
    with pytest.raises(OptionError, match="--longest-minutes 0"):
        preparation(longest_minutes=0.0)
    with pytest.raises(OptionError, match="--longest-minutes nan, expected more than 0"):
        preparation(longest_minutes=float("nan"))


def test_content_is_the_same_in_any_key_tempo_instrument_and_resolution() -> None:
    plain = tune(3)
    same = [
        transposed(plain, 5),
        transposed(plain, -12),
        tune(3, tempos=[(0, 300_000)]),
        tune(3, program=40),
        tune(3, velocity=100),
        plain.rescaled(960),
        plain.with_columns(start_tick=plain.start_tick + 960, end_tick=plain.end_tick + 960),
        plain.with_columns(track=1 - plain.track),
    ]
    assert {content_hash(notes) for notes in same} == {content_hash(plain)}
    changed = plain.pitch.copy()
    changed[5] += 1
    assert content_hash(plain.with_columns(pitch=changed)) != content_hash(plain)
    assert content_hash(tune(4)) != content_hash(plain)


def test_percussion_does_not_change_the_content() -> None:
    plain = quantise(tune(3), 12)
    count = len(plain)
    with_drums = NoteSequence.from_columns(
        np.append(plain.start_tick, 0),
        np.append(plain.end_tick, 12),
        np.append(plain.pitch, 36),
        is_drum=np.arange(count + 1) == count,
        ticks_per_quarter=12,
    )
    assert content_hash(with_drums) == content_hash(plain)


def test_percentages_decide_the_shares() -> None:
    everything = dataclasses.replace(preparation(), valid_percent=0.0, test_percent=0.0)
    assert {everything.split(tune(seed)) for seed in range(30)} == {"train"}
    half = preparation(valid_percent=0.0, test_percent=50.0)
    assert 8 < sum(half.split(tune(seed)) == "test" for seed in range(40)) < 32


@pytest.mark.data
def test_real_files_of_every_kind_are_kept_or_refused(data_folder: Path, command: Command, tmp_path: Path) -> None:
    source = tmp_path / "diverse"
    shutil.copytree(data_folder / "music" / "midi_diverse", source)
    done = command("data_prep/midi_folder.py", "--source", source, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    entries = read_ledger(tmp_path / "store" / "ledger.tsv")
    assert len(entries) == sum(path.suffix.lower() in (".mid", ".midi") for path in source.rglob("*"))
    reasons = Counter(entry.reason for entry in entries)
    assert reasons[Reason.PARSER_CRASHED] == reasons[Reason.PARSER_TIMEOUT] == 0
    assert reasons[Reason.NONE] > 100


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_links_to_folders_of_tunes_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.mid").write_bytes(b"")
    source = tmp_path / "source"
    source.mkdir()
    (source / "linked").symlink_to(real)
    (source / "again").symlink_to(source)  # would never end
    assert [item.key for item in midi_items(source, "another")] == ["linked/a.mid"]
