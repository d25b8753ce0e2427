"""Versions of a piece are found by its melody, and never fall into two splits; strangers are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_build_store import bytes_of

from seqaudio.errors import OptionError
from seqaudio.midi.reading import read_many
from seqaudio.midi.writing import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.prepare.corpora.splits import hash_split
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.near_duplicates import (
    ALIKE,
    FEWEST_SHARED,
    WIDTH,
    Fingerprint,
    PieceIdentity,
    SplitsByContent,
    clusters,
    content_hash,
    near_duplicates,
    once,
    similarity,
    splits_of_pieces,
    top_line,
    windows_of,
)
from seqaudio.prepare.music.options import note_description
from seqaudio.prepare.music.piece_identities import identities_of
from seqaudio.store import SPLITS, Store
from seqaudio.tokens import MelodyRepresentation
from seqaudio.tokens.roll import RollRepresentation


def tune(seed: int, length: int = 96, **more: Any) -> NoteSequence:
    """A made-up melody over a bass that is one of a few."""
    draw = np.random.default_rng(seed)
    lengths = draw.choice([120, 240, 480], size=length)
    start = np.cumsum(lengths) - lengths
    bars = np.arange(0, start[-1], 1920)
    pitch = 72 + np.cumsum(draw.choice([-4, -2, -1, 1, 2, 3], size=length)) % 13
    return NoteSequence.from_columns(
        np.concatenate([start, bars]),
        np.concatenate([start + lengths, bars + 1920]),
        np.concatenate([pitch, 36 + draw.integers(0, 3, size=len(bars)) * 5]),
        track=np.repeat([0, 1], [length, len(bars)]),
        **more,
    )


def melody_fingerprint(notes: NoteSequence) -> Fingerprint:
    return windows_of(top_line(notes))


def alike(one: NoteSequence, other: NoteSequence) -> float:
    return similarity(melody_fingerprint(one), melody_fingerprint(other))


def edited(notes: NoteSequence, share: float, seed: int = 0) -> NoteSequence:
    """Some notes of the melody a third higher or lower."""
    draw = np.random.default_rng(seed)
    here = (notes.track == 0) & (draw.random(len(notes)) < share)
    return notes.with_columns(pitch=notes.pitch + np.where(here, draw.choice([-3, 3], len(notes)), 0).astype(np.int16))


def test_the_top_line_is_the_highest_pitch_whenever_it_changes() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 480, 960, 960, 1920, 2400, 0],
        [1920, 480, 960, 1440, 1200, 2400, 2880, 4800],
        [60, 72, 72, 76, 40, 64, 64, 99],
        is_drum=[False] * 7 + [True],
    )
    # 72 is struck twice, 60 is alone again from 1440 on
    assert top_line(notes).tolist() == [72, 76, 60, 64]
    assert top_line(NoteSequence.from_columns([], [], [])).tolist() == []


def test_key_tempo_note_values_repeats_instruments_and_accompaniment_make_no_difference() -> None:
    notes = tune(1)
    melody = notes.select(notes.track == 0)
    doubled = melody.with_columns(start_tick=2 * melody.start_tick, end_tick=2 * melody.end_tick, program=40)
    middle = (melody.start_tick + melody.end_tick) // 2
    struck_twice = NoteSequence.from_columns(
        np.concatenate([melody.start_tick, middle]),
        np.concatenate([middle, melody.end_tick]),
        np.concatenate([melody.pitch, melody.pitch]),
    )
    drums = NoteSequence.from_columns([0], [99999], [120], is_drum=True)
    assert len(melody_fingerprint(notes)) > 50
    for version in (notes.with_columns(pitch=notes.pitch + 5), melody, doubled, struck_twice):
        np.testing.assert_array_equal(melody_fingerprint(version), melody_fingerprint(notes))
    assert len(melody_fingerprint(drums)) == 0


def test_a_melody_with_a_tenth_of_its_notes_edited_is_known_and_strangers_are_not() -> None:
    tunes = [tune(seed) for seed in range(40)]
    assert min(alike(notes, edited(notes, 0.04, seed)) for seed, notes in enumerate(tunes)) >= ALIKE
    assert np.median([alike(notes, edited(notes, 0.1, seed)) for seed, notes in enumerate(tunes)]) >= ALIKE
    assert max(alike(one, other) for one in tunes[:20] for other in tunes[20:]) < ALIKE / 2
    assert max(alike(notes, edited(notes, 0.6, seed)) for seed, notes in enumerate(tunes)) < ALIKE


def test_a_part_of_a_piece_is_a_version_of_it() -> None:
    notes = tune(3, length=200)
    assert alike(notes.select(notes.start_tick < 12_000), notes) > 0.9


def test_scales_trills_and_short_pieces_have_no_windows() -> None:
    assert len(windows_of(np.arange(40, 90))) == 0
    assert len(windows_of(np.arange(90, 40, -1))) == 0
    assert len(windows_of(np.tile([60, 62, 64], 20))) == 0
    assert len(windows_of(np.array([60, 62, 64, 65] * 3)[: WIDTH - 1])) == 0
    assert len(windows_of(np.tile([60, 64, 62, 65], 20))) == 4


def test_few_shared_windows_are_chance() -> None:
    windows = np.arange(1, 100, dtype=np.uint64)
    few, enough = windows[: FEWEST_SHARED - 1], windows[:FEWEST_SHARED]
    assert similarity(few, windows) == 0.0
    assert similarity(enough, windows) == 1.0
    assert similarity(windows[:0], windows) == 0.0


def test_clusters_hold_together_through_versions_of_versions() -> None:
    original = tune(5)
    first = edited(original, 0.04, seed=1)
    second = edited(first, 0.04, seed=2)
    pieces = {"a": tune(6), "b": second, "c": first, "d": tune(7), "e": original, "f": tune(7, program=40)}
    assert alike(original, second) < alike(first, second)
    assert clusters({name: PieceIdentity.of(notes) for name, notes in pieces.items()}) == [
        ["a"],
        ["b", "c", "e"],
        ["d", "f"],
    ]


def test_copies_without_any_window_are_found_by_their_content() -> None:
    short = NoteSequence.from_columns([0, 480, 960], [480, 960, 1440], [60, 62, 64])
    pieces = [short, tune(1), short.with_columns(pitch=short.pitch + 2), short.with_columns(pitch=[60, 62, 65])]
    assert near_duplicates([PieceIdentity.of(notes) for notes in pieces]) == [0, 1, 0, 3]


def short_tune(pitches: Sequence[int], times: int = 1, **more: Any) -> NoteSequence:
    start = 480 * np.arange(times * len(pitches))
    return NoteSequence.from_columns(start, start + 480, np.tile(pitches, times), **more)


@pytest.mark.parametrize(
    "pitches",
    [
        [60, 62, 64, 65, 67, 65, 64, 62, 60, 67],
        [60, 62, 64, 65, 67, 65, 64, 62, 60],  # the second time begins with the pitch that ends the first
        [60, 64, 62, 65, 60, 64, 62, 67],
        [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 72, 71, 69, 67],
    ],
)
def test_a_short_tune_and_its_repeats_are_one_piece_and_tunes_that_go_on_are_others(pitches: list[int]) -> None:
    higher = [pitch + 3 for pitch in pitches]
    pieces = {
        "tune": short_tune(pitches),
        "longer": short_tune([*pitches, 74, 60]),
        "twice": short_tune(higher, 2, program=40),
        "other end": short_tune([*pitches[:-1], 59]),
        "five times": short_tune(pitches, 5),
    }
    found = clusters({name: PieceIdentity.of(notes) for name, notes in pieces.items()})
    assert found == [["tune", "twice", "five times"], ["longer"], ["other end"]]
    rolls = [
        RollRepresentation(steps_per_quarter=1, repeats="joined").encode(pieces[name]) for name in ("tune", "twice")
    ]
    assert near_duplicates([PieceIdentity.of_roll(roll) for roll in rolls]) == [0, 0]


def test_motifs_scales_and_trills_are_no_short_tunes() -> None:
    for pitches in ([60, 62, 64, 65, 67, 65, 64], range(60, 72), [60, 62] * 6, [60, 62, 64] * 4):
        line = np.array(pitches)
        assert PieceIdentity.of(short_tune(line)).short == ()
        assert near_duplicates([PieceIdentity.of(short_tune(line, times)) for times in (1, 2)]) == [0, 1]
    assert once(np.array([60, 62, 64, 65, 67, 65, 64])) is None
    assert once(np.zeros(0, np.int64)) is None


def test_many_versions_of_one_piece_are_one_cluster_however_many_share_a_window() -> None:
    versions = [edited(tune(8), 0.03, seed) for seed in range(60)]
    others = [tune(seed) for seed in range(100, 110)]
    found = near_duplicates([PieceIdentity.of(notes) for notes in (*others, *versions)])
    assert found == [*range(10), *[10] * 60]


def test_a_roll_and_its_notes_have_one_melody() -> None:
    notes = tune(9)
    roll = RollRepresentation(steps_per_quarter=4, repeats="joined").encode(notes)
    identity = PieceIdentity.of_roll(roll)
    np.testing.assert_array_equal(identity.melody, melody_fingerprint(notes))
    higher = PieceIdentity.of_roll(np.roll(roll, 3, axis=1))
    assert higher.contents == identity.contents
    assert PieceIdentity.of_roll(roll[:-4]).contents != identity.contents
    assert len(PieceIdentity.of_roll(np.zeros((5, 88), np.uint8)).melody) == 0


def test_songs_of_one_file_are_one_piece() -> None:
    both = PieceIdentity.of(tune(1), tune(2))
    assert similarity(both.melody, melody_fingerprint(tune(2))) == 1.0
    assert both.contents == (content_hash(tune(1)), content_hash(tune(2)))
    # a song of them is a copy, even where it has no windows
    short = NoteSequence.from_columns([0, 480, 960], [480, 960, 1440], [60, 62, 64])
    pieces = {
        "both": PieceIdentity.of(tune(1), short),
        "other": PieceIdentity.of(tune(2)),
        "one": PieceIdentity.of(short),
    }
    assert clusters(pieces) == [["both", "one"], ["other"]]


# splits


def split_by_content(
    songs: dict[str, NoteSequence], *percentages: float, known: dict[str, str] | None = None
) -> dict[str, str]:
    pieces = {name: PieceIdentity.of(song) for name, song in songs.items()}
    return dict(splits_of_pieces(pieces, *percentages, known=known))


def test_a_piece_alone_goes_by_its_content_and_versions_go_with_it() -> None:
    songs = {f"tune {seed}": tune(seed) for seed in range(60)}
    alone = split_by_content(songs)
    assert alone == {name: hash_split(content_hash(notes), 10.0, 10.0) for name, notes in songs.items()}
    assert set(alone.values()) == {"train", "valid", "test"}
    versions = {
        f"version {seed}": edited(tune(seed).with_columns(pitch=tune(seed).pitch + 2), 0.05) for seed in range(60)
    }
    together = split_by_content(songs | versions)
    assert list(together) == [*songs, *versions]
    assert all(together[f"tune {seed}"] == together[f"version {seed}"] for seed in range(60))
    # in any order
    assert split_by_content(dict(reversed((songs | versions).items()))) == together


def hashed(songs: dict[str, NoteSequence], valid: float = 10.0) -> dict[str, str]:
    return {name: hash_split(content_hash(notes), valid, 10.0) for name, notes in songs.items()}


def test_of_few_pieces_none_leaves_a_split_empty() -> None:
    moved_in_all = 0
    for first in range(0, 240, 8):
        songs = {f"tune {seed}": tune(seed) for seed in range(first, first + 8)}
        songs["again"] = songs[f"tune {first}"].with_columns(pitch=songs[f"tune {first}"].pitch + 2)
        alone, together = hashed(songs), split_by_content(songs)
        assert set(together.values()) == {"train", "valid", "test"}
        moved = {name for name in songs if alone[name] != together[name]}
        # only what was empty gets a piece, and all its versions, out of training
        assert {together[name] for name in moved} == {"train", "valid", "test"} - set(alone.values())
        assert {alone[name] for name in moved} <= {"train"}
        assert len({content_hash(songs[name]) for name in moved}) == len({together[name] for name in moved})
        assert split_by_content(dict(reversed(songs.items()))) == together
        moved_in_all += bool(moved)
    assert 5 < moved_in_all < 30


@pytest.mark.parametrize("first", range(0, 60, 3))
def test_three_pieces_are_enough_for_three_splits(first: int) -> None:
    splits = split_by_content({str(seed): tune(seed) for seed in range(first, first + 3)}, 30.0, 30.0)
    assert set(splits.values()) == {"train", "valid", "test"}


def test_validation_stays_empty_where_nothing_else_would_train_or_none_is_wanted() -> None:
    training = {
        name: notes for name, notes in ((f"{n}", tune(n)) for n in range(8)) if hashed({"": notes})[""] == "train"
    }
    assert set(split_by_content(training, 0.0, 10.0).values()) == {"train", "test"}
    assert set(split_by_content(training, 0.0, 0.0).values()) == {"train"}
    name, notes = next(iter(training.items()))
    assert split_by_content({name: notes, "copy": notes}) == {name: "train", "copy": "train"}
    # known splits hold
    assert set(split_by_content(training, known=dict.fromkeys(training, "train")).values()) == {"train"}


@pytest.mark.parametrize(
    ("given", "split"), [(["train", "valid"], "valid"), (["valid", "test"], "test"), (["train"], "train")]
)
def test_the_strictest_of_known_splits_holds_for_a_cluster(given: list[str], split: str) -> None:
    songs = {f"{number}": edited(tune(1), 0.04, number) for number in range(3)} | {"other": tune(2)}
    known = {str(number): name for number, name in enumerate(given)}
    splits = split_by_content(songs, known=known)
    assert [splits[str(number)] for number in range(3)] == [split] * 3
    assert splits["other"] == split_by_content({"other": tune(2)})["other"]


def test_percentages_and_known_splits_are_checked() -> None:
    with pytest.raises(OptionError, match="less than 100 together"):
        split_by_content({"a": tune(1)}, 60.0, 40.0)
    with pytest.raises(ValueError, match="known splits"):
        splits_of_pieces({"a": PieceIdentity.of(tune(1))}, known={"a": "validation"})
    assert split_by_content({}) == {}


# files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tunes"
    folder.mkdir()
    for seed in range(6):
        write_midi(tune(seed), folder / f"{seed}.mid")
    write_midi(edited(tune(0), 0.05), folder / "zero again.mid")
    (folder / "damaged.mid").write_bytes(b"MThd and nothing else")
    return folder


def items_of(folder: Path) -> list[Item]:
    return [Item(path.name, path, path.name) for path in sorted(folder.iterdir())]


def prepared(folder: Path, out: Path, known: dict[str, str], **options: Any) -> Store:
    """A store of the folder, in chunks of two files, whose splits are chosen by content."""
    items = [replace(item, split=known.get(item.key, "")) for item in items_of(folder)]
    process = MidiPreparation(MelodyRepresentation(), identify=True)
    description = note_description(process.representation)
    return build_store(out, items, process, description, splits=SplitsByContent(), chunk=2, **options)


def splits_in(store: Store) -> dict[str, str]:
    return {name: split for split in store.counts for name in store[split].ids}


def test_versions_share_a_split_and_every_file_is_read_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def counted(sources: Iterable[Any], **options: Any) -> Iterator[Any]:
        sources = list(sources)
        read.extend(sources)
        return read_many(sources, **options)

    monkeypatch.setattr("seqaudio.prepare.music.midi_rows.read_many", counted)
    store = prepared(folder, tmp_path / "store", {"zero again.mid": "test"})
    splits = splits_in(store)
    assert splits["0.mid"] == splits["zero again.mid"] == "test"
    assert splits["3.mid"] == hash_split(content_hash(tune(3)), 10.0, 10.0)
    assert {entry.path: entry.split for entry in store.ledger()} == splits | {"damaged.mid": ""}
    assert len(read) == len(set(read)) == len(items_of(folder))
    # a row a file, in the column of its split
    lines = [line.split("\t")[1:] for line in (store.path / "inputs.tsv").read_text().splitlines()]
    assert [dict(zip(lines[0], map(int, line), strict=True)) for line in lines[1:]] == [
        {split: int(splits.get(item.key) == split) for split in SPLITS} for item in items_of(folder)
    ]


def test_neither_workers_nor_an_interruption_nor_an_update_change_a_byte(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"zero again.mid": "test"}
    whole = bytes_of(prepared(folder, tmp_path / "one", known).path)
    assert bytes_of(prepared(folder, tmp_path / "two", known, workers=2).path) == whole

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("seqaudio.prepare.engine.build.Merge.add", full_disk)
        with pytest.raises(OSError, match="no space"):
            prepared(folder, tmp_path / "again", known)
    assert (tmp_path / "again.partial").is_dir()
    assert bytes_of(prepared(folder, tmp_path / "again", known).path) == whole
    write_midi(tune(0), folder / "zero once more.mid")
    updated = prepared(folder, tmp_path / "again", known, update=True)
    assert splits_in(updated)["zero once more.mid"] == "test"
    assert bytes_of(updated.path) == bytes_of(prepared(folder, tmp_path / "fresh", known).path)


def test_no_row_is_lost_where_no_split_was_chosen_for_it(folder: Path, tmp_path: Path) -> None:
    process = MidiPreparation(MelodyRepresentation())  # tells no identity, so nothing can be chosen by it
    with pytest.raises(ValueError, match="unknown split '' chosen for a row"):
        build_store(
            tmp_path / "store", items_of(folder), process, note_description(process.representation),
            splits=SplitsByContent(),
        )  # fmt: skip
    assert not (tmp_path / "store").exists()


def test_an_identity_is_the_same_behind_its_bytes() -> None:
    for songs in ([tune(1)], [tune(1), tune(2)], [NoteSequence.from_columns([], [], [])]):
        identity = PieceIdentity.of(*songs)
        again = PieceIdentity.from_bytes(identity.to_bytes())
        assert (again.contents, again.short) == (identity.contents, identity.short)
        np.testing.assert_array_equal(again.melody, identity.melody)


def test_any_number_of_workers_sees_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqaudio.prepare.music.piece_identities.CHUNK", 2)
    one, two = (identities_of(items_of(folder), workers) for workers in (1, 2))
    assert list(one) == list(two) == [path.name for path in sorted(folder.iterdir()) if path.name != "damaged.mid"]
    for name, identity in one.items():
        assert two[name].contents == identity.contents
        np.testing.assert_array_equal(two[name].melody, identity.melody)
    with pytest.raises(OptionError, match="--workers 0"):
        identities_of(items_of(folder), 0)


@pytest.mark.data
def test_the_clusters_of_real_corpora_are_few_and_small(data_folder: Path) -> None:
    for corpus, least, largest in (("nottingham/midi", 0.93, 3), ("js_fakes", 0.88, 8)):
        paths = sorted((data_folder / "music" / corpus).glob("*.mid"))[::2]
        found = clusters(identities_of([Item(path.name, path, path.name) for path in paths]))
        sizes = Counter(map(len, found))
        assert len(found) >= least * len(paths), sizes
        assert max(sizes) <= largest, sizes
