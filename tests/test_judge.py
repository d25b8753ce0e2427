"""Judging generated music: equal music is equal, differences are told from chance, copies are found."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Command, assert_refused
from legibility import assert_legible, words
from seqaudio.errors import SourceError
from seqaudio.evaluation.intervals import ratio_of_sums
from seqaudio.evaluation.music.copies import Piece, find_copies
from seqaudio.evaluation.music.drawing import judgement_figure
from seqaudio.evaluation.music.judgement import MIXED, Corpus, Judgement, compared, divergence, judge, overlap
from seqaudio.evaluation.music.pieces import pieces_of_folder, pieces_of_split
from seqaudio.evaluation.music.report import described
from seqaudio.evaluation.run_groups import read_run
from seqaudio.midi import read_midi, write_midi
from seqaudio.notes import NoteSequence
from seqaudio.notes.operations import transpose
from seqaudio.store import Store


def tune(seed: int, bars: int = 8) -> NoteSequence:
    """A melody over a scale with notes of different lengths, so that no two bars are alike by chance."""
    draw = np.random.default_rng(seed)
    length = draw.choice([240, 480, 960], size=6 * bars)
    start = np.cumsum(length) - length
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    degree = np.clip(np.cumsum(draw.integers(-3, 4, size=len(start))) + 7, 0, 13)
    return NoteSequence.from_columns(start, start + length, 60 + 12 * (degree // 7) + scale[degree % 7])


def corpus(name: str, *notes: NoteSequence) -> Corpus:
    return Corpus(name, [Piece(f"{name} {number}", one) for number, one in enumerate(notes)])


TUNES = corpus("tunes", *map(tune, range(24)))


# --- comparing ---


def test_music_judged_beside_itself_has_overlap_1_and_divergence_0() -> None:
    judgement = judge(TUNES, TUNES, TUNES)
    for name, one in judgement.distributions.items():
        assert one.overlap == pytest.approx(1.0), name
        assert one.divergence == pytest.approx(0.0, abs=1e-12), name
        assert one.differs is False, name
    for name, both in judgement.numbers.items():
        assert both.judged == both.beside, name


def test_overlap_and_divergence_by_hand() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert overlap(p, q) == 0.5
    smooth = [(1 - MIXED) * share + MIXED / 3 for share in (0.5, 0.0, 0.25)]
    expected = 2 * smooth[0] * math.log(smooth[0] / smooth[2]) + smooth[1] * math.log(smooth[1] / smooth[0])
    assert divergence(p, q) == pytest.approx(expected)
    apart = divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert 0 < apart < math.log(2 / MIXED)


def test_twice_the_same_pieces_are_no_other_music() -> None:
    counts = np.random.default_rng(1).integers(0, 9, size=(6, 5)).astype(np.float64)
    twice = compared(np.concatenate([counts, counts]), counts)
    assert twice.overlap == pytest.approx(1.0)
    assert twice.divergence == pytest.approx(0.0, abs=1e-12)


def test_other_pieces_of_the_same_kind_rarely_differ_and_other_music_does() -> None:
    alike = judge(corpus("others", *map(tune, range(100, 124))), TUNES, TUNES)
    assert sum(bool(one.differs) for one in alike.distributions.values()) <= 2
    high = judge(corpus("high", *(transpose(tune(seed), 24) for seed in range(100, 124))), TUNES, TUNES)
    assert high.distributions["pitch"].differs
    assert high.distributions["pitch"].overlap == pytest.approx(0.0, abs=0.05)
    assert high.distributions["interval"].overlap == alike.distributions["interval"].overlap


def test_nothing_to_count_is_no_number() -> None:
    one = compared(np.zeros((3, 4)), np.ones((3, 4)))
    assert (one.overlap, one.divergence, one.differs) == (None, None, None)
    drums = NoteSequence.from_columns([0], [480], [36], is_drum=True)
    judgement = judge(corpus("drums", drums), TUNES, TUNES)
    assert judgement.numbers["scale"].judged is None
    assert judgement.distributions["pitch"].overlap is None
    assert_legible(judgement_figure(judgement))
    assert any("| -" in row for row in described(judgement))


def test_few_held_out_pieces_give_no_overlap_to_compare_with() -> None:
    one = compared(np.ones((3, 4)), np.ones((3, 4)))
    assert (one.overlap, one.at_this_size, one.differs) == (1.0, None, None)


def test_music_without_notes_is_refused() -> None:
    empty = NoteSequence.from_columns([], [], [])
    with pytest.raises(SourceError, match="empty: has no notes to judge"):
        judge(corpus("empty", empty), TUNES, TUNES)


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says() -> None:
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        under = draw.uniform(0.5, 2.0, size=20)
        over = draw.poisson(2.0 * under)
        interval = ratio_of_sums(over, under)
        assert interval is not None
        held += interval[0] <= 2.0 <= interval[1]
    assert 0.9 <= held / 300 <= 0.985
    assert ratio_of_sums([1, 2, 3, 4], [1, 1, 1, 1]) is None
    with pytest.raises(ValueError, match="a sum above 0"):
        ratio_of_sums([1.0], [0.0])


# --- copies ---


def test_a_copied_bar_is_found_in_any_key() -> None:
    """A bar of sixteenths, three semitones higher and five bars later, behind bars that are nobody's."""
    draw = np.random.default_rng(0)
    sixteenths = 120 * np.arange(16 * 6)
    pitch = draw.integers(48, 84, size=len(sixteenths))
    original = NoteSequence.from_columns(sixteenths, sixteenths + 120, pitch)
    piece = draw.integers(48, 84, size=len(sixteenths))
    piece[16 * 5 :] = pitch[16:32] + 3
    new = NoteSequence.from_columns(sixteenths, sixteenths + 120, piece)
    (found,) = find_copies([Piece("new", new)], [*TUNES.pieces, Piece("original", original)], "copies")
    assert (found.original, found.notes) == ("original", 16)
    assert (found.copy.beats, found.copy.transposition) == (4, 3)
    assert (found.copy.start, found.copy.original_start) == (5 * 4, 4.0)
    assert found.share == pytest.approx(1 / 6)


def test_a_copied_piece_is_its_own_copy_and_held_out_ones_are_not() -> None:
    judgement = judge(corpus("copied", tune(3)), corpus("held out", *map(tune, range(50, 60))), TUNES)
    copies = judgement.copies
    assert copies["judged"].longest.original == "tunes 3"
    assert copies["judged"].share.value == pytest.approx(1.0, abs=0.05)
    assert copies["beside"].share.value < 0.2
    assert copies["halves"].share.value < 0.2
    assert [len(copies[name].pieces) for name in ("judged", "beside", "halves")] == [1, 10, 12]
    assert judgement.originals == "tunes"


# --- report and picture ---


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return judge(corpus("runs/others", *map(tune, range(100, 112))), TUNES, TUNES)


def test_the_picture_is_legible_and_names_both_sides(judgement: Judgement) -> None:
    figure = judgement_figure(judgement)
    assert_legible(figure)
    told = words(figure)
    assert "judged: runs/others (12 pieces)" in told
    assert "beside: tunes (24 pieces)" in told
    assert len(figure.axes) == len(judgement.distributions)


def test_the_tables_and_the_json_tell_the_same(judgement: Judgement) -> None:
    text = "\n".join(described(judgement))
    data = json.loads(json.dumps(judgement.as_json()))
    for one in data["distributions"].values():
        assert f"| {one['label']}" in text
        assert f"{one['overlap']:.3f}" in text
        assert len(one["bins"]) == len(one["judged"]) == len(one["beside"])
    for number in data["numbers"].values():
        assert number["label"] in text
    assert data["copies"]["in"] == "tunes"
    assert len(data["copies"]["judged"]["pieces"]) == 12
    assert data["voice_leading"] == {}


def test_voice_leading_is_told_where_both_sides_have_four_voices() -> None:
    def chorale(seed: int) -> NoteSequence:
        parts = [transpose(tune(10 * seed + part, 4), -5 * part) for part in range(4)]
        names = ("start_tick", "end_tick", "pitch")
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        return NoteSequence.from_columns(*columns, track=np.repeat(range(4), [len(part) for part in parts]))

    four = corpus("chorales", *map(chorale, range(6)))
    found = judge(four, four, four)
    assert found.voices["parallel_fifths"].judged is not None
    assert any("parallel fifths" in row for row in described(found))
    assert not judge(four, TUNES, TUNES).voices


# --- where pieces come from ---


def test_files_that_cannot_be_read_are_left_out_with_a_remark(tune_folder: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.mid").write_bytes((tune_folder / f"tune0{number}.mid").read_bytes())
    (tmp_path / "bad.mid").write_bytes(b"MThd")
    (tmp_path / "notes.txt").write_text("no music")
    found = pieces_of_folder(tmp_path)
    assert [piece.name for piece in found.pieces] == ["0.mid", "1.mid", "2.mid"]
    assert len(found.remarks) == 1
    assert "1 of 4 files left out: bad.mid" in found.remarks[0]


def test_a_split_is_decoded_into_the_notes_that_were_prepared(tune_store: Path, tune_folder: Path) -> None:
    found = pieces_of_split(Store(tune_store), "train")
    assert found.pieces
    for piece in found.pieces[:5]:
        original = read_midi(tune_folder / f"{Path(piece.name).stem}.mid")
        assert sorted(piece.notes.pitch) == sorted(original.pitch)


# --- the command ---


def test_a_run_is_judged_beside_its_store(command: Command, tune_run: Path, tune_store: Path, tmp_path: Path) -> None:
    options = (tune_run, "--beside", tune_store, "--count", "3", "--max-events", "60", "--seed", "4")
    done = command("seqaudio", "judge", *options, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "judgement.json", "judgement.md", "judgement.png",
    ]  # fmt: skip
    assert data == json.loads((tmp_path / "out" / "judgement.json").read_text())
    assert data["judged"] == {"name": str(tune_run), "pieces": 3}
    assert [piece["piece"] for piece in data["copies"]["judged"]["pieces"]] == ["seed 4", "seed 5", "seed 6"]
    assert data["beside"]["name"] == f"valid of {tune_store}"
    again = command("seqaudio", "judge", *options, "--out", tmp_path / "out")
    assert_refused(again, "judgement.json exists", "--force")


def test_each_reading_of_a_test_split_is_counted_and_no_evaluation_is_lost(
    command: Command, tune_run: Path, tune_store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tune_run, run)
    options = ("--beside", tune_store, "--count", "1", "--max-events", "40")
    assert command("seqaudio", "evaluate", run, "--split", "test").returncode == 0
    before = read_run(run)
    for split in ("valid", "test"):
        assert command("seqaudio", "judge", run, *options, "--split", split).returncode == 0
    after = read_run(run)
    assert (before.test_reads, after.test_reads) == (1, 2)
    assert after.test == before.test


def test_the_pieces_are_those_that_generate_writes(
    command: Command, tune_run: Path, tune_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    sampled = ("--count", "3", "--max-events", "60", "--seed", "4", "--temperature", "0.8")
    assert command("seqaudio", "generate", tune_run, "--out", tmp_path / "new" / "a.mid", *sampled).returncode == 0
    of_run = command("seqaudio", "judge", tune_run, "--beside", tune_store, *sampled, "--json")
    of_folder = command("seqaudio", "judge", tmp_path / "new", "--beside", tune_store, "--json")
    assert of_run.returncode == of_folder.returncode == 0, of_run.stderr + of_folder.stderr
    one, other = json.loads(of_run.stdout), json.loads(of_folder.stdout)
    assert one["numbers"] == other["numbers"]
    assert one["distributions"] == other["distributions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{none}", "--beside", "{store}"), ("no such folder",)),
        (("{tunes}", "--beside", "{none}"), ("--beside", "no such folder")),
        (("{tunes}", "--beside", "{empty}"), ("has no MIDI files",)),
        (("{bad}", "--beside", "{tunes}"), ("none of 1 MIDI files can be read", "bad.mid")),
        (("{store}", "--beside", "{tunes}"), ("is a store", "--beside")),
        (("{tunes}", "--beside", "{run}"), ("is a run",)),
        (("{words}", "--beside", "{store}"), ("keyword_recognition", "music_generation")),
        (("{tunes}", "--beside", "{clips}"), ("'features'", "judging music")),
        (("{run}", "--beside", "{store}", "--count", "0"), ("--count 0",)),
        (("{run}", "--beside", "{store}", "--out", "{file}"), ("is a file",)),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    command: Command,
    tune_folder: Path,
    tune_store: Path,
    tune_run: Path,
    word_run: Path,
    word_store: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: tuple[str, ...],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.mid").write_bytes(b"MThd")
    (tmp_path / "file").write_text("")
    places = {name: tmp_path / name for name in ("none", "empty", "bad", "file")}
    places |= {"tunes": tune_folder, "store": tune_store, "run": tune_run, "words": word_run, "clips": word_store}
    out = () if "--out" in arguments else ("--out", str(tmp_path / "out"))
    done = command("seqaudio", "judge", *(word.format(**places) for word in arguments), *out)
    assert_refused(done, *said)
    assert not (tmp_path / "out").exists()


def test_generated_music_that_copies_is_told_from_the_command(
    command: Command, tune_store: Path, tmp_path: Path
) -> None:
    """Training pieces themselves, transposed: whole pieces are copies."""
    for number, piece in enumerate(pieces_of_split(Store(tune_store), "train").pieces[:3]):
        write_midi(transpose(piece.notes, 2), tmp_path / f"{number}.mid")
    done = command("seqaudio", "judge", tmp_path, "--beside", tune_store, "--json")
    assert done.returncode == 0, done.stderr
    copies = json.loads(done.stdout)["copies"]
    assert copies["judged"]["share"]["value"] == pytest.approx(1.0)
    assert {piece["transposed_by"] for piece in copies["judged"]["pieces"]} == {2}
    assert copies["halves"]["share"]["value"] < 0.9
