"""The command that generates music: what comes first of wishes, primer and training pieces, warnings, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, assert_refused
from seqaudio.api import composing
from seqaudio.cli import generate
from seqaudio.cli.info import describe
from seqaudio.decoding.trained_music import repertoire_of
from seqaudio.errors import RunError
from seqaudio.json_files import read_json
from seqaudio.midi import read_midi, write_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.run_folder import RunFolder


def written(run: Path, out: Path, **options: Any) -> NoteSequence:
    generate.main(generate.Config(run, out, force=True, **options))
    return read_midi(out)


def changed(
    run: Path, folder: Path, settings: dict[str, Any] | None = None, results: dict[str, Any] | None = None
) -> Path:
    """A copy of a run with other settings of its input, or other results."""
    shutil.copytree(run, folder)
    for name, change in (("config.json", settings), ("results.json", results)):
        if change is not None:
            data = read_json(folder / name)
            (data["input"]["settings"] if name == "config.json" else data).update(change)
            (folder / name).write_text(json.dumps(data))
    return folder


def older(run: Path, folder: Path) -> Path:
    """A copy of a run, as if its store did not know its training pieces."""
    shutil.copytree(run, folder)
    data = read_json(folder / "config.json")
    del data["input"]["settings"]["repertoire"]
    (folder / "config.json").write_text(json.dumps(data))
    return folder


def test_pieces_are_as_the_training_pieces_are(tune_run: Path, tmp_path: Path) -> None:
    repertoire = repertoire_of(RunFolder(tune_run))
    assert repertoire is not None
    metre = next(iter(repertoire.metres))
    quarters = 4 * int(metre.split("/")[0]) / int(metre.split("/")[1])
    for seed in range(1, 5):
        notes = written(tune_run, tmp_path / "x.mid", seed=seed)
        bars = notes.last_tick / notes.ticks_per_quarter / quarters
        assert bars == int(bars) and int(bars) in repertoire.bars(metre)
        assert notes.tempo.tolist() == [repertoire.tempo]
        assert [sign.name for sign in notes.time_signatures] == [metre]
        assert set(notes.program.tolist()) == {repertoire.program}
        assert repertoire.lowest <= notes.pitch.min() and notes.pitch.max() <= repertoire.highest
        longest = (notes.end_tick - notes.start_tick).max() / notes.ticks_per_quarter
        assert longest <= repertoire.longest / 12
        assert written(tune_run, tmp_path / "again.mid", seed=seed) == notes


def test_what_is_asked_for_is_written(tune_run: Path, tmp_path: Path) -> None:
    notes = written(tune_run, tmp_path / "x.mid", bars=6, tempo=75.0, metre="3/4", program=73)
    assert notes.last_tick == 6 * 3 * notes.ticks_per_quarter
    assert notes.tempo.tolist() == [800_000]
    assert [sign.name for sign in notes.time_signatures] == ["3/4"]
    assert set(notes.program.tolist()) == {73}


def test_a_primer_gives_what_is_not_asked_for(tune_run: Path, tmp_path: Path) -> None:
    starts = range(0, 4800, 240)
    primer = NoteSequence.from_columns(
        starts, [start + 240 for start in starts], [60 + number % 7 for number in range(20)], program=40,
        tempos=[(0, 1_000_000)], time_signatures=[TimeSignature(0, 6, 8)],
    )  # fmt: skip
    write_midi(primer, tmp_path / "primer.mid")
    notes = written(tune_run, tmp_path / "x.mid", primer=tmp_path / "primer.mid", primer_events=30)
    assert (notes.tempo.tolist(), notes.time_signatures[0].name) == ([1_000_000], "6/8")
    assert set(notes.program.tolist()) == {40}
    assert notes.last_tick % (3 * notes.ticks_per_quarter) == 0
    asked = written(tune_run, tmp_path / "x.mid", primer=tmp_path / "primer.mid", primer_events=30, tempo=90.0, bars=9)
    assert asked.tempo.tolist() == [666_667]
    assert asked.last_tick == 27 * asked.ticks_per_quarter


def test_older_runs_generate_as_they_did(tune_run: Path, tmp_path: Path) -> None:
    run = older(tune_run, tmp_path / "older")
    assert repertoire_of(RunFolder(run)) is None
    notes = written(run, tmp_path / "x.mid", max_events=120)
    assert notes.tempo.tolist() == [500_000] and set(notes.program.tolist()) == {0}
    assert not any("training pieces" in line for line in describe(run))
    # what is asked for holds all the same
    notes = written(run, tmp_path / "y.mid", bars=2, metre="3/4", tempo=60.0)
    assert notes.last_tick == 6 * notes.ticks_per_quarter
    assert notes.tempo.tolist() == [1_000_000]


def test_a_piece_that_is_cut_is_told(tune_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tune_run, tmp_path / "x.mid", max_events=40, bars=30)
    done = capsys.readouterr()
    assert "warning: a piece was cut off at --max-events 40, before its last bar" in done.err
    assert "give fewer --bars" in done.err
    assert "cut off: bars 30 (" in done.out and "guaranteed" not in done.out


def test_a_form_in_which_no_bar_returns_claims_no_share(
    tune_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tune_run, tmp_path / "x.mid", bars=4, form="ABCD")
    assert "form ABCD (no bars that return)" in capsys.readouterr().out


def test_a_long_form_is_told_in_short() -> None:
    assert composing.shortened("1-8 1-8") == "1-8 1-8"
    told = composing.shortened(" ".join(["1-2"] * 500))
    assert told.count("1-2") == composing.FORM_RUNS and told.endswith(" ...")


def test_a_model_that_n_grams_beat_is_told(tune_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = read_json(tune_run / "results.json")
    for nats, told in ((0.1, True), (99.0, False)):
        scores = {"unigram": 100.0, "Kneser-Ney trigram": nats}
        baselines = {name: {"valid": {"nats_per_event": score}} for name, score in scores.items()}
        run = changed(tune_run, tmp_path / f"run{nats}", results=data | {"baselines": baselines})
        written(run, tmp_path / "x.mid", bars=2)
        assert ("the net does not beat Kneser-Ney trigram" in capsys.readouterr().err) is told


def test_info_tells_what_the_training_pieces_have_in_common(tune_store: Path, tune_run: Path) -> None:
    for path in (tune_store, tune_run):
        (line,) = [line for line in describe(path) if "training pieces" in line]
        assert "longest note" in line and "bars (median" in line and "tempo" in line
        assert not any('"tokens": [' in other for other in describe(path))


def test_damaged_figures_are_one_line(tune_run: Path, tmp_path: Path, command: Command) -> None:
    good = read_json(tune_run / "config.json")["input"]["settings"]["repertoire"]
    damages = ({"longest": 0}, {"metres": {}}, {"metres": {"6/7": {}}}, {"tokens": ["a"]}, {"tempo": -5})
    for number, damage in enumerate(damages):
        run = changed(tune_run, tmp_path / f"run{number}", settings={"repertoire": good | damage})
        with pytest.raises(RunError, match=r"config\.json: damaged"):
            repertoire_of(RunFolder(run))
    assert_refused(command("seqaudio", "generate", run, "--out", tmp_path / "x.mid"), "config.json: damaged")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bars", "0"), "--bars 0, expected 1 to 10,000"),
        (("--tempo", "0"), "--tempo 0.0, expected 4 to 1,000"),
        (("--program", "128"), "--program 128, expected 0 to 127"),
        (("--primer-events", "9"), "--primer-events shortens a primer; give one by --primer"),
        (("--metre", "6"), "--metre '6', expected a time signature such as 3/4 or 6/8"),
        (("--metre", "5/7"), "--metre '5/7', expected a time signature"),
        (("--metre", "7/64"), "--metre 7/64: bars cannot write its bars; try 4/4 or 3/4"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(
    command: Command, tune_run: Path, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    assert_refused(command("seqaudio", "generate", tune_run, "--out", tmp_path / "x.mid", *options), words)
    assert not (tmp_path / "x.mid").exists()


def test_zero_is_a_value_of_an_option_that_is_refused(command: Command, tune_run: Path) -> None:
    done = command("seqaudio", "generate", tune_run, "--live", "--max-copied", "0")
    assert_refused(done, "--max-copied is for files", "leave one of them out")


def test_names_of_the_files_beside_may_be_told(command: Command, tune_run: Path, tmp_path: Path) -> None:
    line = ("generate", tune_run, "--bars", "2", "--out", "tune.mid")
    done = command("seqaudio", *line, "--wav", "tune.wav", "--png", "tune.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tune.mid", "tune.png", "tune.wav"]
    other = command("seqaudio", *line, "--force", "--wav", "song.wav", folder=tmp_path)
    assert_refused(other, "--wav song.wav: files beside --out have its name")
    for out in ("", ".", "/"):
        assert_refused(
            command("seqaudio", "generate", tune_run, "--wav", "song.wav", *(["--out", out] if out else [])),
            "--wav song.wav: files beside --out have its name",
        )
