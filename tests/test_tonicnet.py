"""Steps of a chord and four voices: literal tokens, chords, transpositions, the published counts and floor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_chorale import rows, voices

from conftest import Command, assert_refused
from made_up_speech import script
from seqaudio.errors import OptionError
from seqaudio.evaluation.ngram import nats_per_note
from seqaudio.notes import NoteSequence
from seqaudio.prepare.music.published_pieces import VOICE_RANGES, read_voices, singable
from seqaudio.store import Store
from seqaudio.tokens import TonicNetNotesRepresentation, TonicNetRepresentation
from seqaudio.tokens.tonicnet import CHORDS, Steps, chord_of, chords_of, steps_of

WITH, WITHOUT = TonicNetRepresentation(), TonicNetNotesRepresentation()
jsb_chorales = script("jsb_chorales")


def ids(text: str, representation: TonicNetRepresentation | TonicNetNotesRepresentation = WITH) -> list[int]:
    return [representation.tokens.index(name) for name in text.split()]


def test_ids_are_those_of_the_table() -> None:
    tokens = WITH.tokens
    assert [tokens.index(name) for name in ("rest", "note_36", "note_81")] == [3, 4, 49]
    chords = ("chord_C", "chord_B", "chord_Cm", "chord_Cdim", "chord_Caug", "chord_other", "chord_none")
    assert [tokens.index(name) for name in chords] == [50, 61, 62, 74, 86, 98, 99]
    assert len(tokens) == 100
    assert WITHOUT.tokens == tokens[:50]


def test_a_step_is_chord_soprano_bass_alto_tenor() -> None:
    notes = voices([(0, 2, 72), (2, 4, 72)], [(0, 4, 67)], [(0, 3, 64)], [(0, 1, 48), (2, 4, 45)])
    stream = """
        chord_C  note_72 note_48 note_67 note_64
        chord_C  note_72 rest    note_67 note_64
        chord_Am note_72 note_45 note_67 note_64
        chord_Am note_72 note_45 note_67 rest
    """
    assert [WITH.tokens[token] for token in WITH.encode(notes)] == stream.split()
    plain = [name for name in stream.split() if not name.startswith("chord")]
    assert [WITHOUT.tokens[token] for token in WITHOUT.encode(notes)] == plain
    joined = [(0, 0, 4, 72), (1, 0, 4, 67), (2, 0, 3, 64), (3, 0, 1, 48), (3, 2, 4, 45)]
    assert sorted(rows(WITH.decode(ids(stream)))) == joined, "track, start, end, pitch: repeated pitches are one note"
    assert rows(WITHOUT.decode(ids(" ".join(plain), WITHOUT))) == rows(WITH.decode(ids(stream)))


def test_pitches_without_a_token_are_silent_and_an_end_of_them_is_left_out() -> None:
    notes = voices([(0, 2, 82), (2, 4, 81)], [(0, 1, 60)], [(5, 6, 20)], [(0, 1, 36)])
    assert rows(WITHOUT.quantise(notes)) == rows(voices([(2, 4, 81)], [(0, 1, 60)], [], [(0, 1, 36)]))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("note_60", "position 0: note_60 is illegal: a step begins with its chord"),
        ("chord_C chord_C", "position 1: chord_C is illegal: the soprano of this step must come first"),
        ("chord_C note_60", "the stream stops at position 2: the bass of this step must come first"),
        ("chord_C note_63", "position 1: note_63 is illegal: with this soprano the chord cannot be C"),
        ("chord_C note_60 rest rest rest", "position 4: rest is illegal: with this tenor the chord cannot be C"),
        ("chord_none rest rest rest rest", "the stream stops at position 5: a piece must not end with a silent step"),
        ("chord_none note_60", "position 1: note_60 is illegal: with this soprano the chord cannot be none"),
    ],
)
def test_illegal_streams_are_refused(stream: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WITH.decode(ids(stream))


@pytest.mark.parametrize(
    ("pitches", "chord"),
    [
        ("", "none"),
        ("0", "other"),
        ("0 4", "C"),
        ("0 3", "Cm"),
        ("0 7", "other"),
        ("7 0 4", "C"),
        ("4 0 7 10", "C"),
        ("4 0 7 11", "C"),
        ("9 0 4", "Am"),
        ("9 0 4 7", "Am"),
        ("2 5 11", "Bdim"),
        ("2 5 9 11", "Bdim"),
        ("2 6 9 0", "D"),
        ("0 5 7", "other"),
        ("0 2 4 7", "C"),
        ("1 3 7 10", "Ebdim"),
        ("0 1 3 4", "C#m"),
    ],
)
def test_chords_are_named_by_thirds_above_their_root(pitches: str, chord: str) -> None:
    assert CHORDS[chord_of(frozenset(map(int, pitches.split())))] in {chord, "Eb" if chord == "Ebdim" else chord}


def test_chords_move_with_their_notes_unless_every_note_could_be_the_root() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        pitches = frozenset(draw.choice(12, size=int(draw.integers(1, 5)), replace=False).tolist())
        if any(frozenset((pitch + turn) % 12 for pitch in pitches) == pitches for turn in range(1, 12)):
            continue
        chord = chord_of(pitches)
        for up in range(12):
            moved = chord_of(frozenset((pitch + up) % 12 for pitch in pitches))
            assert moved == (chord if chord >= 48 else chord // 12 * 12 + (chord + up) % 12)


def test_only_stores_of_whole_steps_have_a_form_of_steps() -> None:
    assert steps_of({"representation": {"name": "tonicnet"}}) == Steps(5, 1)
    assert steps_of({"representation": {"name": "tonicnet_notes"}}) == Steps(4, 0)
    assert steps_of({"representation": {"name": "chorale"}}) is None
    assert steps_of({"representation": {"name": "of my own"}}) is None
    assert steps_of({}) is None


# --- transpositions ---


def test_a_piece_is_sung_where_no_voice_leaves_its_range() -> None:
    assert list(singable(voices([(0, 1, 70)], [(0, 1, 60)], [(0, 1, 50)], [(0, 1, 40)]))) == list(range(-4, 12))
    # the soprano is above its range already, so nothing goes up, and the bass allows a semitone down
    assert list(singable(voices([(0, 1, 84)], [(0, 1, 70)], [(0, 1, 60)], [(0, 1, 37)]))) == [-1, 0]
    assert list(singable(voices([(0, 1, 81)], [], [], [(0, 1, 36)]))) == [0]
    assert list(singable(NoteSequence.from_columns([], [], []))) == [0]
    assert [most - least for least, most in VOICE_RANGES] == [21, 24, 27, 28]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    piece = [[72, 67, 64, 48]] * 4 + [[74, 65, 62, -1]] * 4
    pieces = {"train": [piece, piece[::-1]], "valid": [piece], "test": [piece]}
    (tmp_path / "Jsb16thSeparated.json").write_text(json.dumps(pieces))
    return tmp_path


def test_training_chorales_alone_are_transposed(folder: Path) -> None:
    config = jsb_chorales.Config(
        source=folder, out=folder / "store", representation="tonicnet", transpose=True, workers=1
    )
    jsb_chorales.main(config)
    store = Store(folder / "store")
    (shifts,) = {singable(notes) for notes in read_voices(folder / "Jsb16thSeparated.json")["train"]}
    assert len(shifts) > 3
    assert store["train"].ids == [f"train/{number}{shift:+d}" for number in (0, 1) for shift in shifts]
    assert (list(store["valid"].ids), list(store["test"].ids)) == (["valid/0"], ["test/0"])
    moved = [WITH.decode(sequence) for sequence in list(store["train"])[: len(shifts)]]
    lowest = [int(notes.pitch.min()) for notes in moved]
    assert lowest == [48 + shift for shift in shifts]


def test_rolls_are_not_transposed(folder: Path, command: Command) -> None:
    with pytest.raises(OptionError, match="--transpose is for the four voices"):
        jsb_chorales.main(
            jsb_chorales.Config(source=folder, out=folder / "store", representation="roll", transpose=True)
        )
    done = command(
        "data_prep/jsb_chorales.py",
        "--source",
        folder,
        "--out",
        folder / "s",
        "--representation",
        "roll",
        "--transpose",
    )
    assert_refused(done, "--transpose is for the four voices, which a roll does not have; leave it out")


# --- training, and a new piece ---


def test_a_net_over_steps_learns_and_composes(folder: Path, command: Command) -> None:
    prepare = ("data_prep/jsb_chorales.py", "--source", folder, "--out", folder / "store", "--transpose")
    done = command(*prepare, "--representation", "tonicnet", "--workers", "1")
    assert done.returncode == 0, done.stderr
    train = ("recipes/music_generation/train.py", "--store", folder / "store", "--run", folder / "run")
    done = command(*train, "--hidden-size", "16", "--device", "cpu")
    assert_refused(done, "VoicesModel", "use --bptt full")
    done = command(
        *train, "--bptt", "full", "--cell", "gru", "--hidden-size", "16", "--embedding-size", "8", "--epochs", "6",
        "--batch-size", "2", "--learning-rate", "1e-2", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nats a note" in done.stdout
    done = command("recipes/music_generation/evaluate.py", "--run", folder / "run", "--split", "test")
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "run" / "results.json").read_text())
    assert results["test"]["nats_per_note"] < results["baselines"]["unigram"]["test"]["nats_per_note"]
    assert results["test"]["count"] == 8 * 5 + 1
    done = command("seqaudio", "generate", folder / "run", "--out", folder / "new.mid", "--max-events", "120")
    assert done.returncode == 0, done.stderr
    assert (folder / "new.mid").stat().st_size > 20


# --- the published set ---


@pytest.mark.data
def test_the_published_chords_are_found(data_folder: Path) -> None:
    source = data_folder / "music" / "jsb_chorales_json"
    published = json.loads((source / "tonicnet_chords.json").read_text())
    pieces = json.loads((source / "Jsb16thSeparated.json").read_text())
    same, steps = 0, 0
    for split, chords in published.items():
        for grid, expected in zip(pieces[split], chords, strict=True):
            same += int((chords_of(np.array(grid, dtype=np.int64)) == np.array(expected)).sum())
            steps += len(expected)
    assert steps == 92_536
    assert same / steps > 0.98


@pytest.mark.data
def test_counts_of_the_set_and_its_floor_without_chords(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "music" / "jsb_chorales_json"
    jsb_chorales.main(
        jsb_chorales.Config(source=source, out=tmp_path / "store", representation="tonicnet_notes", workers=1)
    )
    store = Store(tmp_path / "store")
    grids = {split: [np.asarray(ids).reshape(-1, 4) for ids in store[split]] for split in store.counts}
    assert {split: len(pieces) for split, pieces in grids.items()} == {"train": 229, "valid": 76, "test": 77}
    assert {split: sum(map(len, pieces)) for split, pieces in grids.items()} == {
        "train": 55_228, "valid": 18_408, "test": 18_900
    }  # fmt: skip
    # the next token of a voice by its last one and the place in the beat
    counts = np.full((4, 4, 50, 50), 0.01)
    for grid in grids["train"]:
        for place, last, token in places(grid):
            np.add.at(counts, (place[0], place[1], last, token), 1)
    chances = counts / counts.sum(axis=-1, keepdims=True)
    floors = {}
    for split in ("valid", "test"):
        nats = []
        for grid in grids[split]:
            of_voices = [-np.log(chances[place[0], place[1], last, token]) for place, last, token in places(grid)]
            nats.append(np.append(np.stack(of_voices, axis=1).reshape(-1), 99.0))  # the end does not count
        floors[split] = nats_per_note(np.concatenate(nats), np.array([grid.size for grid in grids[split]]), 4, 0)
    assert floors == {"valid": pytest.approx(0.718, abs=0.002), "test": pytest.approx(0.736, abs=0.002)}


def places(grid: np.ndarray) -> list[tuple[tuple[int, np.ndarray], np.ndarray, np.ndarray]]:
    """For each voice of a grid [T, 4] its number and the place in the beat [T], the token before [T], the token [T]."""
    before = np.concatenate([np.zeros((1, 4), dtype=grid.dtype), grid[:-1]])
    return [((voice, np.arange(len(grid)) % 4), before[:, voice], grid[:, voice]) for voice in range(4)]
