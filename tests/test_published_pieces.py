"""The published sets: piano rolls out of .mat and JSON files, chorales in four voices, splits as published."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from conftest import Command, assert_refused
from made_up_speech import refused, rows, script, serving
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of
from seqaudio.prepare.music.near_duplicates import STRICTEST, PieceIdentity, clusters
from seqaudio.prepare.music.published_pieces import (
    VARIABLES,
    read_matrix_rolls,
    read_pitch_rolls,
    read_voices,
    versions_of_held_out,
)
from seqaudio.store import Store
from seqaudio.tokens import build_representation

polyphonic = script("polyphonic")
jsb_chorales = script("jsb_chorales")

DIGESTS = {  # of all rolls of a set
    "jsb": "2b833c06ffa36ee999b83042307fb7fa3cf3693a0753f61ab9d1aabd86da381e",
    "nottingham": "6be70b7e9146f68ec48c327c8ba8d8f90d42fc2100a4677e95cf51db8f586763",
    "musedata": "d0dd7b84128c12544d55f99d2a112d3e60107f38e10fa0b362a9e77cd8a1e3a3",
    "piano_midi": "1b3fac6c3b5581f75f56675e3b5dc656391b72057ae7395282772967b9465ccb",
}

SIZES = {"train": 5, "valid": 2, "test": 3}


def voices(seed: int, length: int = 64) -> np.ndarray:
    """[T, 4] a made-up chorale at sixteenths, the soprano first; now and then a voice rests."""
    draw = np.random.default_rng(seed)
    steps = np.repeat(draw.integers(0, 12, size=(length, 4)), 4, axis=0) + np.array([64, 57, 50, 40])
    steps[8:12, 1] = -1
    return steps


def roll(steps: np.ndarray) -> np.ndarray:
    frames = np.zeros((len(steps), 88), dtype=np.uint8)
    for place, pitches in enumerate(steps.tolist()):
        frames[place, [pitch - 21 for pitch in pitches if pitch >= 0]] = 1
    return frames


def write_matrices(file: Path, rolls: Mapping[str, Sequence[np.ndarray]]) -> None:
    """A .mat file as the sets have them."""
    cells = {}
    for split, pieces in rolls.items():
        cells[VARIABLES[split]] = np.empty((1, len(pieces)), dtype=object)
        for number, frames in enumerate(pieces):  # of equal shapes numpy would make one array
            cells[VARIABLES[split]][0, number] = frames
    savemat(file, cells, do_compression=True)


@pytest.fixture(scope="module")
def chorales() -> dict[str, list[np.ndarray]]:
    """Train/1 is test/2 a third higher, valid/0 is test/0 but for a few notes of the alto."""
    made = {split: [voices(10 * place + n) for n in range(SIZES[split])] for place, split in enumerate(SIZES)}
    made["train"][1] = made["test"][2] + np.where(made["test"][2] < 0, 0, 4)
    made["valid"][0] = made["test"][0].copy()
    made["valid"][0][40:60, 1] += 1
    return made


@pytest.fixture(scope="module")
def folder(chorales: dict[str, list[np.ndarray]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of both scripts."""
    folder = tmp_path_factory.mktemp("published")
    quarters = {split: [roll(piece[::4]) for piece in pieces] for split, pieces in chorales.items()}
    write_matrices(folder / "JSB_Chorales.mat", quarters)
    for grid, step in (("quarter", 4), ("8th", 2), ("16th", 1)):
        # voices in unison are one pitch there, and a few are written as 60.0
        lists = {
            split: [
                [sorted({float(p) for p in steps if p >= 0}) for steps in piece[::step].tolist()] for piece in pieces
            ]
            for split, pieces in chorales.items()
        }
        (folder / f"jsb-chorales-{grid}.json").write_text(json.dumps(lists))
    separate = {split: [piece.tolist() for piece in pieces] for split, pieces in chorales.items()}
    (folder / "Jsb16thSeparated.json").write_text(json.dumps(separate))
    return folder


def prepare_rolls(source: Path, out: Path, **options: object) -> Store:
    polyphonic.main(polyphonic.Config(source=source, out=out, **{"set": "jsb", **options}))
    return Store(out)


def prepare_jsb(source: Path, out: Path, **options: object) -> Store:
    jsb_chorales.main(jsb_chorales.Config(source=source, out=out, **options))
    return Store(out)


# rolls


def test_rolls_are_stored_as_they_were_published(
    folder: Path, chorales: Mapping[str, Sequence[np.ndarray]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = prepare_rolls(folder, tmp_path / "out")
    assert store.kind == "roll"
    assert rows(store) == SIZES
    assert store.settings["representation"]["repeats"] == "joined"
    for split, pieces in chorales.items():
        assert store[split].ids == [f"{split}/{number}" for number in range(len(pieces))]
        for stored, piece in zip(store[split], pieces, strict=True):
            np.testing.assert_array_equal(stored, roll(piece[::4]))
    assert "the whole corpus has train 229, valid 76, test 77" in capsys.readouterr().err


def test_a_file_will_do_for_its_folder_and_workers_change_no_byte(folder: Path, tmp_path: Path) -> None:
    one = prepare_rolls(folder / "JSB_Chorales.mat", tmp_path / "one")
    two = prepare_rolls(folder, tmp_path / "two", workers=2)
    names = sorted(path.name for path in one.path.iterdir())
    assert [(one.path / name).read_bytes() for name in names] == [(two.path / name).read_bytes() for name in names]


def test_clean_leaves_out_versions_of_held_out_pieces(folder: Path, tmp_path: Path) -> None:
    store = prepare_rolls(folder, tmp_path / "out", clean=True)
    assert {name: (str(entry.reason), entry.detail) for name, entry in refused(store).items()} == {
        "JSB_Chorales.mat#train/1": ("duplicate", "a version of test/2"),
        "JSB_Chorales.mat#valid/0": ("duplicate", "a version of test/0"),
    }
    assert rows(store) == {"train": 4, "valid": 1, "test": 3}


def test_a_version_in_training_of_a_validation_piece_is_left_out_too() -> None:
    pieces = {"train": [roll(voices(1)), roll(voices(2))], "valid": [roll(voices(2))], "test": [roll(voices(3))]}
    assert versions_of_held_out(pieces, PieceIdentity.of_roll) == {"train/1": "valid/0"}


def test_a_download_is_checked_and_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "JSB_Chorales.mat"
    with serving(folder) as address:
        monkeypatch.setattr(polyphonic, "ADDRESS", address)
        with pytest.raises(SourceError, match="another version"):
            prepare_rolls(tmp_path / "in", tmp_path / "out", download=True)
        given = polyphonic.SETS["jsb"].__dict__ | {"sha256": sha256_of(file), "size": file.stat().st_size}
        monkeypatch.setitem(polyphonic.SETS, "jsb", polyphonic.RollSet(**given))
        store = prepare_rolls(tmp_path / "in", tmp_path / "out", download=True)
    assert (tmp_path / "in" / "JSB_Chorales.mat").read_bytes() == file.read_bytes()
    assert store.fingerprint == prepare_rolls(folder, tmp_path / "here").fingerprint


def test_what_is_none_of_the_four_files_is_refused(folder: Path, tmp_path: Path, command: Command) -> None:
    with pytest.raises(SourceError, match=r"no such file; give the folder with Nottingham\.mat, or add --download"):
        prepare_rolls(folder, tmp_path / "out", set="nottingham")
    with pytest.raises(OptionError, match="--download needs a folder"):
        prepare_rolls(folder / "JSB_Chorales.mat", tmp_path / "out", download=True)
    cells = np.empty((1, 1), dtype=object)
    for content, words in ((np.eye(3), "expected \\[T, 88\\]"), (np.full((2, 88), 2), "zeros and ones")):
        cells[0, 0] = content
        savemat(tmp_path / "other.mat", dict.fromkeys(VARIABLES.values(), cells))
        with pytest.raises(SourceError, match=words):
            prepare_rolls(tmp_path / "other.mat", tmp_path / "out")
    savemat(tmp_path / "other.mat", {"traindata": cells})
    with pytest.raises(SourceError, match="has no validdata, testdata"):
        prepare_rolls(tmp_path / "other.mat", tmp_path / "out")
    done = command("data_prep/polyphonic.py", "--set", "jsb", "--source", tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "give the folder with JSB_Chorales.mat")


def test_the_file_of_another_set_is_refused_with_both_names(tmp_path: Path, command: Command) -> None:
    file, out = tmp_path / "mine.mat", tmp_path / "out"
    write_matrices(file, {split: [roll(voices(1))] * n for split, n in polyphonic.SETS["piano_midi"].expected.items()})
    done = command("data_prep/polyphonic.py", "--set", "jsb", "--source", file, "--out", out)
    assert_refused(done, "mine.mat: has the pieces of Piano-midi.de, expected those of JSB Chorales")
    assert_refused(done, "give --set piano_midi, or JSB_Chorales.mat as the source")
    assert not out.exists()
    assert rows(prepare_rolls(file, out, set="piano_midi")) == polyphonic.SETS["piano_midi"].expected


# the JSON files


@pytest.mark.parametrize(("grid", "step"), [("quarter", 4), ("8th", 2), ("16th", 1)])
def test_the_rolls_of_each_grid_are_those_of_the_voices(
    folder: Path, chorales: Mapping[str, Sequence[np.ndarray]], tmp_path: Path, grid: str, step: int
) -> None:
    store = prepare_jsb(folder, tmp_path / "out", representation="roll", grid=grid)
    assert store.settings["representation"]["steps_per_quarter"] == 4 // step
    for split, pieces in chorales.items():
        for stored, piece in zip(store[split], pieces, strict=True):
            np.testing.assert_array_equal(stored, roll(piece[::step]))


@pytest.mark.parametrize("name", ["chorale_grid", "chorale", "performance"])
def test_four_voices_become_tokens_of_any_representation(
    folder: Path, chorales: Mapping[str, Sequence[np.ndarray]], tmp_path: Path, name: str
) -> None:
    store = prepare_jsb(folder, tmp_path / "out", representation=name)
    settings = {key: value for key, value in store.settings["representation"].items() if key != "name"}
    representation = build_representation(name, settings)
    assert store.names.names == representation.vocabulary
    read = read_voices(folder / "Jsb16thSeparated.json")
    for split, pieces in read.items():
        for ids, notes in zip(store[split], pieces, strict=True):
            assert representation.decode(ids) == representation.quantise(notes)


def test_equal_pitches_in_a_row_are_one_note_and_rests_are_rests(tmp_path: Path) -> None:
    piece = [[60, 55, -1, 40], [60, 55, 48, 40], [62, -1, 48, 40], [60, 55, -1, 40]]
    path = tmp_path / "voices.json"
    path.write_text(json.dumps({"train": [piece], "valid": [], "test": []}))
    ((notes,), _, _) = read_voices(path).values()
    found = zip(notes.start_tick, notes.end_tick, notes.pitch, notes.track, strict=True)
    assert sorted(tuple(map(int, note)) for note in found) == [
        (0, 2, 55, 1),
        (0, 2, 60, 0),
        (0, 4, 40, 3),
        (1, 3, 48, 2),
        (2, 3, 62, 0),
        (3, 4, 55, 1),
        (3, 4, 60, 0),
    ]


def test_clean_leaves_out_versions_of_voices_as_well(folder: Path, tmp_path: Path) -> None:
    store = prepare_jsb(folder, tmp_path / "out", clean=True)
    assert sorted(refused(store)) == ["Jsb16thSeparated.json#train/1", "Jsb16thSeparated.json#valid/0"]


def test_options_that_contradict_each_other_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--grid 8th is for --representation roll"):
        prepare_jsb(folder, tmp_path / "out", grid="8th")
    with pytest.raises(OptionError, match="rolls use --grid instead"):
        prepare_jsb(folder, tmp_path / "out", representation="roll", steps_per_quarter=2)
    with pytest.raises(OptionError, match="no representation is called 'choral'; did you mean chorale"):
        prepare_jsb(folder, tmp_path / "out", representation="choral")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "expected keys train, valid and test"),
        ('{"train": [], "valid": []}', "expected keys train, valid and test"),
        ('{"train": [[60]], "valid": [], "test": []}', "train/0 is not a list of steps"),
        ('{"train": 3, "valid": [], "test": []}', "train/0 is not a list of steps"),
        ('{"train": [], "valid": [[["60"]]], "test": []}', "valid/0 is not a list of steps"),
        ('{"train": [], "valid": [[[60.5]]], "test": []}', "valid/0 has pitch 60.5"),
        ('{"train": [], "valid": [], "test": [[[NaN]]]}', "test/0 has pitch nan"),
        ('{"train": [], "valid": [], "test": [[[20]]]}', "test/0 has pitch 20, expected 21..108"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=words):
        read_pitch_rolls(path)


def test_other_voices_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    for piece, words in (([[60, 55, 50]], "other than 4 pitches"), ([[60, 55, 50, -2]], "an invalid pitch")):
        path.write_text(json.dumps({"train": [piece], "valid": [], "test": []}))
        with pytest.raises(SourceError, match=words):
            read_voices(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_voices(tmp_path / "gone.json")


# the real ones


@pytest.mark.data
@pytest.mark.parametrize("name", ["jsb", "nottingham", "musedata", "piano_midi"])
def test_the_four_sets_have_the_pieces_that_were_published(data_folder: Path, tmp_path: Path, name: str) -> None:
    source = data_folder / "music" / "polyphonic"
    chosen = polyphonic.SETS[name]
    file = source / chosen.file
    assert (sha256_of(file), file.stat().st_size) == (chosen.sha256, chosen.size)
    store = prepare_rolls(source, tmp_path / "out", set=name)
    assert (
        rows(store)
        == chosen.expected
        == {
            "jsb": {"train": 229, "valid": 76, "test": 77},
            "nottingham": {"train": 694, "valid": 173, "test": 170},
            "musedata": {"train": 524, "valid": 135, "test": 124},
            "piano_midi": {"train": 87, "valid": 12, "test": 25},
        }[name]
    )
    digest = hashlib.sha256()
    for split in VARIABLES:
        for frames in store[split]:
            digest.update(repr(frames.shape).encode() + np.asarray(frames, dtype=np.uint8).tobytes())
    assert digest.hexdigest() == DIGESTS[name]


@pytest.mark.data
@pytest.mark.parametrize("name", ["jsb", "nottingham", "musedata", "piano_midi"])
def test_clean_sets_have_no_piece_in_two_splits(data_folder: Path, name: str) -> None:
    chosen = polyphonic.SETS[name]
    rolls = read_matrix_rolls(data_folder / "music" / "polyphonic" / chosen.file)
    left_out = versions_of_held_out(rolls, PieceIdentity.of_roll)
    kept = {
        f"{split}/{number}": PieceIdentity.of_roll(frames)
        for split in STRICTEST
        for number, frames in enumerate(rolls[split])
        if f"{split}/{number}" not in left_out
    }
    assert Counter(piece.split("/")[0] for piece in kept) == chosen.expected_clean
    assert [cluster for cluster in clusters(kept) if len({piece.split("/")[0] for piece in cluster}) > 1] == []


@pytest.mark.data
def test_musedata_has_as_many_chorales_of_jsb_as_the_script_tells(data_folder: Path) -> None:
    identities = {
        f"{name}/{split}/{number}": PieceIdentity.of_roll(frames)
        for name in ("jsb", "musedata")
        for split, rolls in read_matrix_rolls(data_folder / "music" / "polyphonic" / polyphonic.SETS[name].file).items()
        for number, frames in enumerate(rolls)
    }
    both = [cluster for cluster in clusters(identities) if len({piece.split("/")[0] for piece in cluster}) == 2]
    sets = Counter(piece.split("/")[0] for cluster in both for piece in cluster)
    assert (len(both), sets) == (103, {"jsb": 184, "musedata": 134})
    for trained, tested, leaks in (("musedata", "jsb", 32), ("jsb", "musedata", 48)):
        seen = [cluster for cluster in both if any(piece.startswith(f"{tested}/test/") for piece in cluster)]
        assert sum(piece.startswith(f"{trained}/train/") for cluster in seen for piece in cluster) == leaks
    assert "134 of its pieces and 184 of jsb's are in 103" in polyphonic.__doc__


@pytest.mark.data
def test_quarters_in_json_equal_the_matrices_frame_for_frame(data_folder: Path, tmp_path: Path) -> None:
    music = data_folder / "music"
    matrices = prepare_rolls(music / "polyphonic", tmp_path / "matrices")
    quarters = prepare_jsb(music / "jsb_chorales_json", tmp_path / "json", representation="roll", grid="quarter")
    assert rows(quarters) == jsb_chorales.EXPECTED
    for split in STRICTEST:
        assert matrices[split].ids == quarters[split].ids
        for one, other in zip(matrices[split], quarters[split], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.data
def test_a_chorale_has_one_split_in_all_four_json_files(data_folder: Path) -> None:
    folder = data_folder / "music" / "jsb_chorales_json"
    sixteenths = split_by_frames(read_pitch_rolls(folder / "jsb-chorales-16th.json"), 1)
    eighths = split_by_frames(read_pitch_rolls(folder / "jsb-chorales-8th.json"), 1)
    quarters = split_by_frames(read_pitch_rolls(folder / "jsb-chorales-quarter.json"), 1)
    voices = {
        split: [roll(np.array(piece)) for piece in pieces]
        for split, pieces in json.loads((folder / "Jsb16thSeparated.json").read_text()).items()
    }
    assert split_by_frames(voices, 1) == sixteenths
    assert split_by_frames(read_pitch_rolls(folder / "jsb-chorales-16th.json"), 2) == eighths
    # the quarters are sampled otherwise where notes are short: 228 of them are every fourth sixteenth
    found = split_by_frames(read_pitch_rolls(folder / "jsb-chorales-16th.json"), 4)
    shared = found.keys() & quarters.keys()
    assert len(shared) > 220
    assert all(found[frames] == quarters[frames] for frames in shared)


def split_by_frames(rolls: Mapping[str, Sequence[np.ndarray]], step: int) -> dict[bytes, set[str]]:
    """The splits of each roll, whatever its key and its place in the file."""
    found: dict[bytes, set[str]] = {}
    for split, pieces in rolls.items():
        for frames in pieces:
            sampled = frames[::step]
            keys = np.flatnonzero(sampled.any(axis=0))
            content = sampled[:, keys[0] : keys[-1] + 1]
            found.setdefault(repr(content.shape).encode() + content.tobytes(), set()).add(split)
    return found
