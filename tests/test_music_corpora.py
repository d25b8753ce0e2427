"""Nottingham, piano-midi.de, JS Fakes and MAESTRO: made-up files in their layouts, and the real ones where they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.io import savemat

from conftest import Command, assert_refused
from made_up_speech import pack, refused, rows, script, serving
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of
from seqaudio.midi.reading import read_midi
from seqaudio.midi.writing import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.folder import PublishedArchive
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.near_duplicates import STRICTEST, clusters
from seqaudio.prepare.music.options import midi_items
from seqaudio.prepare.music.piece_identities import identities_of
from seqaudio.prepare.music.published_pieces import VARIABLES, read_matrix_rolls
from seqaudio.prepare.music.sampled_rolls import MIN_LEAD, MIN_SHARE, OriginSearch
from seqaudio.prepare.music.split_tables import (
    SplitLine,
    make_split_table,
    read_split_table,
    table_name,
    with_splits_of_table,
    write_split_table,
)
from seqaudio.store import Store
from seqaudio.tokens import build_representation
from seqaudio.tokens.roll import RollRepresentation

js_fakes, maestro, nottingham, piano_midi = map(script, ("js_fakes", "maestro", "nottingham", "piano_midi"))


def piece(seed: int, *, grid: int = 240) -> NoteSequence:
    """A made-up piece for two hands, four voices, notes of one to four steps of the grid."""
    draw = np.random.default_rng(seed)
    columns: list[list[int]] = [[], [], [], []]
    for voice, lowest in enumerate((36, 48, 58, 67)):
        lengths = grid * draw.integers(1, 5, size=60)
        start = np.cumsum(lengths) - lengths
        pitches = lowest + np.cumsum(draw.choice([-3, -2, -1, 1, 2, 4], size=60)) % 11
        for column, values in zip(columns, (start, start + lengths, pitches, [voice] * 60), strict=True):
            column.extend(map(int, values))
    start, end, pitch, track = columns
    return NoteSequence.from_columns(start, end, pitch, 70, track=track, ticks_per_quarter=480)


def moved(notes: NoteSequence, semitones: int) -> NoteSequence:
    return notes.with_columns(pitch=notes.pitch + np.int16(semitones))


def matrices(path: Path, pieces: dict[str, list[NoteSequence]]) -> Path:
    """Rolls at eighths, in a .mat file as the published ones."""
    eighths = RollRepresentation(steps_per_quarter=2, repeats="joined")
    cells = {}
    for split, variable in VARIABLES.items():
        cells[variable] = np.empty((1, len(pieces[split])), dtype=object)
        cells[variable][0, :] = [eighths.encode(notes) for notes in pieces[split]]
    savemat(path, cells)
    return path


def write_folder(folder: Path, pieces: dict[str, NoteSequence]) -> Path:
    for name, notes in pieces.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_midi(notes, folder / name)
    return folder


# tables of splits


def test_a_table_is_read_as_it_was_written_and_others_are_refused(tmp_path: Path) -> None:
    table = {"a.mid": SplitLine("test", ("test/1", "train/2")), "b.mid": SplitLine("train")}
    write_split_table(tmp_path / "table.tsv", table)
    assert read_split_table(tmp_path / "table.tsv") == table
    (tmp_path / "table.tsv").write_text("file\tsplit\trolls\na.mid\tvalidation\t\n")
    with pytest.raises(SourceError, match=r"a\.mid has the split 'validation'"):
        read_split_table(tmp_path / "table.tsv")
    (tmp_path / "table.tsv").write_text("file\tpart\na.mid\ttrain\n")
    with pytest.raises(SourceError, match="has no column 'split'"):
        read_split_table(tmp_path / "table.tsv")


def test_the_strictest_version_decides_for_a_cluster(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x/One.mid": piece(1), "one again.mid": moved(piece(1), 2), "two.mid": piece(2)})
    identities = identities_of(midi_items(tmp_path, "a folder"))
    versions = {"x/One.mid": ["train/4"], "one again.mid": ["valid/0", "train/9"]}
    table = make_split_table(identities, versions)
    assert table["one.mid"] == SplitLine("valid", ("train/4",))
    assert table["one again.mid"] == SplitLine("valid", ("valid/0", "train/9"))
    assert table["two.mid"].rolls == ()
    write_folder(tmp_path, {"y/one.MID": piece(3)})
    with pytest.raises(SourceError, match="two files have the same name"):
        make_split_table(identities_of(midi_items(tmp_path, "a folder")), {})


def test_files_outside_the_table_go_by_content_and_with_their_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"one.mid": piece(1), "new/One Again.mid": moved(piece(1), -3), "two.mid": piece(2)})
    items = midi_items(tmp_path, "a folder")
    table = {"one.mid": SplitLine("test"), "two.mid": SplitLine("valid")}
    placed, splits = with_splits_of_table(items, table)
    assert {item.key: item.split for item in placed} == {"new/One Again.mid": "", "one.mid": "test", "two.mid": "valid"}
    assert "1 of 3 files are not in the table" in capsys.readouterr().err
    assert splits is not None
    identities = identities_of(items)
    chosen = splits([item.split for item in placed], [identities[item.key].to_bytes() for item in placed])
    assert dict(zip((item.key for item in placed), chosen, strict=True)) == {
        "new/One Again.mid": "test",
        "one.mid": "test",
        "two.mid": "valid",
    }
    placed, splits = with_splits_of_table(items[1:], table)
    assert {item.key: item.split for item in placed} == {"one.mid": "test", "two.mid": "valid"}
    assert splits is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("module", [nottingham, piano_midi])
def test_the_tables_are_whole_and_strict(module: ModuleType) -> None:
    table = read_split_table(module.TABLE)
    assert list(table) == sorted(table)
    assert Counter(line.split for line in table.values()) == module.EXPECTED
    assert len(table) == {"nottingham": 1034, "piano_midi": 243}[module.TABLE.stem]
    found = {roll for line in table.values() for roll in line.rolls}
    assert len(found) == {"nottingham": 960, "piano_midi": 99}[module.TABLE.stem]
    for line in table.values():
        assert all(STRICTEST.index(line.split) <= STRICTEST.index(roll.split("/")[0]) for roll in line.rolls)


# where rolls were sampled from


def test_the_origin_of_a_roll_is_found_in_any_key_at_any_phase() -> None:
    pieces = {f"{seed}.mid": piece(seed, grid=160) for seed in range(12)}
    search = OriginSearch(pieces)
    for step, phase, semitones in ((160, 0, 0), (240, 60, 5), (480, 200, -4)):
        for seed in (2, 7):
            notes = moved(pieces[f"{seed}.mid"], semitones)
            frames = np.zeros((int(notes.end_tick.max()) // step, 88), dtype=np.uint8)
            for place in range(len(frames)):
                tick = place * step + phase
                sounds = (notes.start_tick <= tick) & (tick < notes.end_tick)
                frames[place, notes.pitch[sounds] - 21] = 1
            best = search.best(frames)
            assert (best.name, best.share) == (f"{seed}.mid", 1.0)
            assert search.origin(frames) == f"{seed}.mid"


def test_a_roll_of_another_piece_has_no_origin() -> None:
    search = OriginSearch({f"{seed}.mid": piece(seed) for seed in range(12)})
    stranger = RollRepresentation(steps_per_quarter=2, repeats="joined").encode(piece(99))
    best = search.best(stranger)
    assert best.share < MIN_SHARE or best.share - best.second < MIN_LEAD
    assert search.origin(stranger) is None
    assert search.origin(np.zeros((4, 88), np.uint8)) is None


# nottingham


@pytest.fixture
def tunes(tmp_path: Path) -> dict[str, NoteSequence]:
    return {f"jigs{seed}.mid": piece(seed) for seed in range(8)}


def test_tunes_keep_the_splits_that_their_melodies_have_in_the_rolls(
    tunes: dict[str, NoteSequence], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "in" / "MIDI", tunes).parent
    parts = {"train": [piece(0), piece(20)], "valid": [moved(piece(1), 3)], "test": [moved(piece(0), 7), piece(2)]}
    rolls = matrices(tmp_path / "Nottingham.mat", parts)
    nottingham.main(nottingham.Config(source=folder, out=tmp_path / "table.tsv", make_splits=rolls))
    assert "8 tunes, 3 of them versions of 4 rolls" in capsys.readouterr().out
    table = read_split_table(tmp_path / "table.tsv")
    assert table["jigs0.mid"] == SplitLine("test", ("train/0", "test/0"))
    assert table["jigs1.mid"] == SplitLine("valid", ("valid/0",))
    assert table["jigs2.mid"] == SplitLine("test", ("test/1",))
    assert all(table[f"jigs{seed}.mid"].rolls == () for seed in range(3, 8))


def test_an_archive_of_tunes_is_unpacked_and_must_be_whole(
    tunes: dict[str, NoteSequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = write_folder(tmp_path / "tree" / "MIDI", tunes).parent
    archive = pack(tmp_path / "tunes.zip", tree, top="nottingham-dataset-0992bb6")
    config = {"out": tmp_path / "out", "archive": archive}
    with pytest.raises(SourceError, match=r"the archive lacks 1,027 tunes, such as ashover1\.mid"):
        nottingham.main(nottingham.Config(source=tmp_path / "in", **config))
    table = tmp_path / "table.tsv"
    names = {f"jigs{seed}.mid": SplitLine(("train", "valid", "test")[seed % 3]) for seed in range(8)}
    write_split_table(table, names)
    monkeypatch.setattr(nottingham, "TABLE", table)
    nottingham.main(nottingham.Config(source=tmp_path / "in", **config))
    store = Store(tmp_path / "out")
    assert rows(store) == {"train": 3, "valid": 3, "test": 2}
    assert store["test"].ids == ["MIDI/jigs2.mid", "MIDI/jigs5.mid"]


@pytest.mark.parametrize(("module", "folder"), [(nottingham, "MIDI"), (js_fakes, "midi")])
def test_downloads_are_unpacked_beside_nothing_else(
    tunes: dict[str, NoteSequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, folder: str
) -> None:
    tree = write_folder(tmp_path / "tree" / folder, tunes).parent
    archive = pack(tmp_path / "server" / "published.zip", tree, top="published-1")
    if module is nottingham:
        write_split_table(tmp_path / "table.tsv", {name: SplitLine("train") for name in tunes})
        monkeypatch.setattr(module, "TABLE", tmp_path / "table.tsv")
    with serving(archive.parent) as address:
        monkeypatch.setattr(module, "PUBLISHED", PublishedArchive(f"{address}/published.zip"))
        module.main(module.Config(source=tmp_path / "in", out=tmp_path / "out", download=True))
    module.main(module.Config(source=tree, out=tmp_path / "here"))
    assert [path.name for path in (tmp_path / "in").iterdir()] == [folder]
    assert Store(tmp_path / "out").fingerprint == Store(tmp_path / "here").fingerprint


# piano-midi.de


def test_pieces_keep_the_splits_of_the_rolls_sampled_from_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "in", {f"composer {seed % 2}/p{seed}.mid": piece(seed) for seed in range(6)})
    parts = {"train": [moved(piece(0), -2)], "valid": [piece(30)], "test": [piece(4)]}
    rolls = matrices(tmp_path / "Piano_midi.mat", parts)
    piano_midi.main(piano_midi.Config(source=folder, out=tmp_path / "table.tsv", make_splits=rolls))
    assert "6 pieces, 2 rolls were sampled from them" in capsys.readouterr().out
    table = read_split_table(tmp_path / "table.tsv")
    assert table["p0.mid"] == SplitLine("train", ("train/0",))
    assert table["p4.mid"] == SplitLine("test", ("test/0",))


def test_representations_and_grids_are_chosen_by_name(tmp_path: Path, command: Command) -> None:
    write_folder(tmp_path / "in", {f"p{seed}.mid": piece(seed) for seed in range(3)})
    script = ("data_prep/piano_midi.py", "--source", tmp_path / "in", "--limit", "3")
    done = command(*script, "--out", tmp_path / "roll", "--representation", "roll", "--steps-per-quarter", "2")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "roll")
    settings = {name: value for name, value in store.settings["representation"].items() if name != "name"}
    representation = build_representation("roll", settings)
    assert store.kind == "roll"
    assert settings["steps_per_quarter"] == 2
    for split, count in store.counts.items():
        for name, frames in zip(store[split].ids, store[split], strict=True) if count.rows else ():
            notes = read_midi(tmp_path / "in" / name)
            assert representation.decode(frames) == representation.quantise(notes)
    done = command(*script, "--out", tmp_path / "none", "--representation", "rol")
    assert_refused(done, "no representation is called 'rol'")


# js-fakes


def test_fakes_that_share_phrases_stay_together(tmp_path: Path) -> None:
    # of 40 pieces and 40 edited versions
    folder = write_folder(
        tmp_path / "in" / "midi",
        {f"{2 * seed}.mid": piece(seed) for seed in range(40)}
        | {f"{2 * seed + 1}.mid": moved(piece(seed), 1) for seed in range(40)},
    )
    js_fakes.main(js_fakes.Config(source=folder.parent, out=tmp_path / "out"))
    store = Store(tmp_path / "out")
    assert store.settings["representation"]["name"] == "chorale"
    split_of = {name: split for split in store.counts for name in store[split].ids}
    assert len(split_of) == 80
    assert all(split_of[f"{2 * seed}.mid"] == split_of[f"{2 * seed + 1}.mid"] for seed in range(40))
    assert len(rows(store)) > 1


# maestro


def write_maestro(folder: Path) -> Path:
    """Three performances in the published layout; one has its pedal down throughout."""
    header = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
    lines = []
    for year, (seed, split) in enumerate(((1, "train"), (2, "validation"), (3, "test")), start=2004):
        name = f"{year}/piece_{seed}.midi"
        write_folder(folder, {name: piece(seed).with_columns(velocity=40 + 10 * seed)})
        lines.append(f'A. Nonymous,"Sonata, no. {seed}",{split},{year},{name},{name[:-5]}.wav,60.5\n')
    (folder / "maestro-v3.0.0.csv").write_text(header + "".join(lines))
    (folder / "README").write_text("about it")
    return folder


def test_performances_have_the_splits_of_the_table_and_times_in_seconds(tmp_path: Path) -> None:
    maestro.main(maestro.Config(source=write_maestro(tmp_path / "in"), out=tmp_path / "out"))
    store = Store(tmp_path / "out")
    assert {split: store[split].ids for split in store.counts} == {
        "train": ["2004/piece_1.midi"],
        "valid": ["2005/piece_2.midi"],
        "test": ["2006/piece_3.midi"],
    }
    assert store.settings["representation"]["clock"] == "second"
    assert store.licence == "CC BY-NC-SA 4.0"
    # whoever asks for a grid of beats gets one
    maestro.main(maestro.Config(source=tmp_path / "in", out=tmp_path / "beats", steps_per_quarter=24))
    assert Store(tmp_path / "beats").settings["representation"]["clock"] == "beat"
    with pytest.raises(OptionError, match="no representation is called 'sounds'"):
        maestro.main(
            maestro.Config(source=tmp_path / "in", out=tmp_path / "no", representation="sounds", steps_per_quarter=4)
        )


def test_the_published_archive_is_checked_by_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = write_maestro(tmp_path / "tree")
    archive = pack(tmp_path / "server" / "maestro-v3.0.0-midi.zip", tree, top="maestro-v3.0.0")
    with serving(archive.parent) as address:
        url = f"{address}/{archive.name}"
        monkeypatch.setattr(maestro, "PUBLISHED", PublishedArchive(url, "0" * 64, archive.stat().st_size, Limits()))
        with pytest.raises(SourceError, match="SHA-256"):
            maestro.main(maestro.Config(source=tmp_path / "in", out=tmp_path / "out", download=True))
        monkeypatch.setattr(maestro, "PUBLISHED", PublishedArchive(url, sha256_of(archive), archive.stat().st_size))
        maestro.main(maestro.Config(source=tmp_path / "in", out=tmp_path / "out", download=True))
    maestro.main(maestro.Config(source=tree, out=tmp_path / "here"))
    assert Store(tmp_path / "out").fingerprint == Store(tmp_path / "here").fingerprint


def test_performances_that_are_not_there_are_told_and_other_splits_refused(tmp_path: Path) -> None:
    folder = write_maestro(tmp_path / "in")
    (folder / "2005" / "piece_2.midi").unlink()
    maestro.main(maestro.Config(source=folder, out=tmp_path / "out"))
    assert {name: str(entry.reason) for name, entry in refused(Store(tmp_path / "out")).items()} == {
        "2005/piece_2.midi": "missing"
    }
    table = folder / "maestro-v3.0.0.csv"
    table.write_text(table.read_text().replace("validation", "dev"))
    with pytest.raises(SourceError, match=r"has the split 'dev', expected one of train, validation, test"):
        maestro.list_items(folder)


# the real ones


@pytest.mark.data
@pytest.mark.parametrize("name", ["nottingham", "piano_midi", "js_fakes"])
def test_real_corpora_have_the_counts_that_their_scripts_tell(data_folder: Path, tmp_path: Path, name: str) -> None:
    module = {"nottingham": nottingham, "piano_midi": piano_midi, "js_fakes": js_fakes}[name]
    # a small representation of a whole corpus: what is counted are the files
    module.main(module.Config(source=data_folder / "music" / name, out=tmp_path / "out", representation="melody"))
    store = Store(tmp_path / "out")
    assert rows(store) == module.EXPECTED
    assert refused(store) == {}


@pytest.mark.data
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["nottingham", "piano_midi"])
def test_no_held_out_roll_is_in_a_looser_split_of_the_midi(data_folder: Path, name: str, every: int) -> None:
    """Held-out rolls, compared with the files of all looser splits: no version of any is there."""
    music = data_folder / "music"
    module = {"nottingham": nottingham, "piano_midi": piano_midi}[name]
    file = {"nottingham": "Nottingham.mat", "piano_midi": "Piano_midi.mat"}[name]
    table = read_split_table(module.TABLE)
    rolls = read_matrix_rolls(music / "polyphonic" / file)
    items = midi_items(music / name, "the corpus")
    overlaps, compared = [], 0
    for place, split in enumerate(STRICTEST[:2]):
        looser = [item for item in items if table[table_name(item.key)].split in STRICTEST[place + 1 :]]
        held_out = rolls[split][::every]
        compared += len(held_out)
        overlaps += module_overlaps(name, looser[::every], held_out)
    assert compared == {"nottingham": (343, 87), "piano_midi": (37, 10)}[name][every == 4]
    assert overlaps == []


def module_overlaps(name: str, items: list[Item], rolls: list[np.ndarray]) -> list[object]:
    if name == "piano_midi":
        search = OriginSearch({item.key: read_midi(item.file) for item in items})
        return [origin for frames in rolls if (origin := search.origin(frames)) is not None]
    pieces = identities_of(items)
    found = []
    for number, frames in enumerate(rolls):
        roll = {f"roll {number}": nottingham.PieceIdentity.of_roll(frames)}
        found += [cluster for cluster in clusters(roll | pieces) if f"roll {number}" in cluster and len(cluster) > 1]
    return found


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "file"), [("nottingham", "Nottingham.mat"), ("piano_midi", "Piano_midi.mat")])
def test_the_tables_are_what_the_notes_say(
    data_folder: Path, command: Command, tmp_path: Path, name: str, file: str
) -> None:
    music = data_folder / "music"
    rolls = music / "polyphonic" / file
    out = tmp_path / "table.tsv"
    done = command(f"data_prep/{name}.py", "--source", music / name, "--make-splits", rolls, "--out", out)
    assert done.returncode == 0, done.stderr
    module = {"nottingham": nottingham, "piano_midi": piano_midi}[name]
    assert out.read_bytes() == module.TABLE.read_bytes()
