"""Loaded models in Python: the words of the commands, the same results and checks, examples that run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import seqaudio
from conftest import RATE, SMALL, Command, spoken
from seqaudio import api
from seqaudio.api.asked import OF_MUSIC, OF_TOKENS, Asked, names_of_python
from seqaudio.errors import AudioError, OptionError, RunError
from seqaudio.midi import read_midi

MODULES = [f"seqaudio.api.{module.name}" for module in pkgutil.iter_modules(api.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_docstrings_run(module: str) -> None:
    found = importlib.import_module(module)
    names = {"load": seqaudio.load, "np": np}
    outcome = doctest.testmod(found, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0


def test_some_examples_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = sum(len(found.examples) for name in MODULES for found in finder.find(importlib.import_module(name)))
    assert examples >= 6


# --- load ---


def test_the_recipe_of_a_run_tells_its_class(word_run: Path, spotting_run: Path, tune_run: Path) -> None:
    assert isinstance(seqaudio.load(word_run), api.Keywords)
    assert isinstance(seqaudio.load(str(spotting_run)), api.Keywords)
    music = seqaudio.load(tune_run, api.Music)
    assert (music.name, music.path, music.recipe, music.card) == ("run", tune_run, "music_generation", None)
    assert music.generate(bars=1).notes is not None


def test_what_cannot_be_loaded_is_one_line(tune_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a Keywords needs one of keyword_recognition"):
        seqaudio.load(tune_run, api.Keywords)
    with pytest.raises(RunError, match="no such folder"):
        seqaudio.load(tmp_path / "none")
    shutil.copytree(tune_run, tmp_path / "other")
    config = (tmp_path / "other" / "config.json").read_text(encoding="utf-8")
    (tmp_path / "other" / "config.json").write_text(config.replace("music_generation", "memory_tasks"))
    with pytest.raises(RunError, match="a run of 'memory_tasks', expected one of keyword_recognition"):
        seqaudio.load(tmp_path / "other")


def test_a_packaged_model_has_its_card() -> None:
    digits = seqaudio.load("digits")
    assert digits.card is not None
    assert digits.card.labels == digits.labels


# --- keywords ---


@pytest.fixture(params=["word_run", "spotting_run"])
def keywords(request: pytest.FixtureRequest) -> api.Keywords:
    return seqaudio.load(request.getfixturevalue(request.param), api.Keywords)


def test_files_and_samples_at_any_rate_are_recognised_alike(
    keywords: api.Keywords, command: Command, word_folder: Path
) -> None:
    file = word_folder / "two" / "s1_2.wav"
    found = keywords.recognize(file)
    said = command("seqaudio", "recognize", keywords.path, file)
    assert said.stdout.split("\t")[1:3] == [found.label, f"{found.probability:.3f}\n"]
    samples, rate = soundfile.read(file, dtype="float32")
    assert keywords.recognize(samples).probability == pytest.approx(found.probability, abs=1e-6)
    whole_numbers = np.round(samples * 32768).astype(np.int16)
    assert keywords.recognize(whole_numbers, rate).label == found.label
    assert keywords.recognize(np.repeat(samples, 2), 2 * rate).label == found.label == "two"
    assert found.is_clip and found.seconds == pytest.approx(len(samples) / rate)


def test_what_is_no_sound_is_refused(keywords: api.Keywords, tmp_path: Path) -> None:
    quiet = np.zeros(RATE, dtype=np.float32)
    for samples, rate, words in [
        (np.zeros((2, RATE)), None, r"shape \[2, 8000\]"),
        (np.zeros(RATE, dtype=np.int64), None, "type int64"),
        (quiet + np.nan, None, "NaN"),
        (quiet + 3000, None, "16-bit"),
        (quiet, 0, "rate 0"),
    ]:
        with pytest.raises(OptionError, match=words):
            keywords.recognize(samples, rate)
    with pytest.raises(AudioError, match="missing"):
        keywords.recognize(tmp_path / "none.wav")
    with pytest.raises(OptionError, match="has its own"):
        keywords.recognize(tmp_path / "none.wav", RATE)


def test_a_stream_is_heard_word_by_word(spotting_run: Path, word_run: Path) -> None:
    keywords = seqaudio.load(spotting_run, api.Keywords)
    quiet = np.zeros(RATE, dtype=np.float32)
    samples = np.concatenate([quiet, spoken(0, 0, 0), quiet, spoken(1, 1, 1), quiet])
    blocks = np.array_split(samples, 37)
    hits = list(keywords.listen(blocks))
    assert [hit.keyword for hit in hits] == ["one", "two"]
    assert list(keywords.listen(blocks, thresholds={"one": 1.0, "two": 1.0})) == []
    twice = list(keywords.listen([np.repeat(block, 2) for block in blocks], rate=2 * RATE))
    assert [hit.keyword for hit in twice] == ["one", "two"]
    first, second = keywords.spotter(), keywords.spotter()
    first.push(samples)
    assert [hit.keyword for hit in [*second.push(samples), *second.finish()]] == ["one", "two"]
    with pytest.raises(OptionError, match="threshold for 'four'"):
        keywords.spotter({"four": 0.5})
    with pytest.raises(RunError, match="trained on whole clips"):
        list(seqaudio.load(word_run, api.Keywords).listen(blocks))


# --- music ---


def test_the_command_writes_the_same_piece(command: Command, tune_run: Path, tmp_path: Path) -> None:
    options = ("--seed", "3", "--bars", "4", "--temperature", "0.8", "--out", tmp_path / "x.mid")
    assert command("seqaudio", "generate", tune_run, *options).returncode == 0
    piece = seqaudio.load(tune_run, api.Music).generate(seed=3, bars=4, temperature=0.8)
    written, read = piece.write(tmp_path / "y.mid"), read_midi(tmp_path / "x.mid")
    assert (read_midi(written).pitch == read.pitch).all() and (read_midi(written).start == read.start).all()
    assert (piece.bars, piece.seed) == (4, 3)
    assert piece.seconds == pytest.approx(read.duration)


def test_pieces_are_those_of_their_seeds(tune_run: Path) -> None:
    music = seqaudio.load(tune_run, api.Music)
    several = music.pieces([1, 2, 3], bars=2)
    assert [piece.tokens for piece in several] == [music.generate(seed, bars=2).tokens for seed in (1, 2, 3)]


def test_a_piece_is_written_by_its_suffix(tune_run: Path, tmp_path: Path) -> None:
    piece = seqaudio.load(tune_run, api.Music).generate(bars=2)
    begins = {
        ".mid": b"MThd",
        ".wav": b"RIFF",
        ".png": b"\x89PNG",
        ".svg": b"<?xml",
        ".musicxml": b"<?xml",
        ".txt": b"",
    }
    for suffix, start in begins.items():
        content = piece.bytes(suffix)
        assert content.startswith(start) and len(content) > 50
        if suffix != ".svg":  # the title is in it
            assert piece.write(tmp_path / f"a{suffix.upper()}").read_bytes()[:4] == content[:4]
    assert piece.bytes(".txt").decode().split("\n")[:-1] == list(piece.tokens)
    with pytest.raises(OptionError, match=r"expected \.mid"):
        piece.write(tmp_path / "a.doc")
    assert not (tmp_path / "a.doc").exists()
    with pytest.raises(OptionError, match="has no tokens"):
        api.Piece.read(piece.write(tmp_path / "b.mid")).bytes(".txt")


def test_a_primer_is_a_file_or_a_piece(tune_run: Path, tmp_path: Path) -> None:
    music = seqaudio.load(tune_run, api.Music)
    primer = music.generate(seed=1, bars=2)
    file = primer.write(tmp_path / "primer.mid")
    options: dict[str, Any] = {"bars": 4, "seed": 2}
    from_piece = music.generate(primer=primer, **options)
    assert from_piece.tokens == music.generate(primer=file, **options).tokens
    assert from_piece.tokens == music.generate(primer=str(file), **options).tokens
    assert from_piece.tokens[: len(primer.tokens)] == primer.tokens
    assert music.generate(primer=primer.notes, without_primer=True, **options).bars == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"temperature": 0}, "^temperature 0, expected"),
        ({"bars": 0}, "^bars 0, expected"),
        ({"max_events": -1}, "^max_events -1"),
        ({"tempurature": 1}, "no option is called 'tempurature'; did you mean temperature"),
        ({"key": "H dur"}, "^key 'H dur'"),
        ({"metre": "4"}, "^metre"),
        ({"prompt": "der"}, "^prompt is for text"),
        ({"without_primer": True}, "give one by primer"),
        ({"program": 3, "instruments": "piano"}, "^program and instruments exclude each other"),
        ({"seed": -1}, "^seed -1, expected"),
        ({"density": "low"}, "is not conditioned on density"),
        ({"primer": Path("none.mid")}, "none.mid"),
    ],
)
def test_options_are_checked_as_those_of_the_command(tune_run: Path, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(seqaudio.errors.SeqAudioError, match=words) as refusal:
        seqaudio.load(tune_run, api.Music).generate(**asked)
    assert "\n" not in str(refusal.value)


def test_options_in_errors_are_named_as_in_python() -> None:
    with pytest.raises(OptionError, match=r"^max_events 3 -- or no-op, a--b, one_two-three$"), names_of_python():
        raise OptionError("--max-events 3 -- or no-op, a--b, one_two-three")


def test_every_option_that_is_named_exists() -> None:
    from seqaudio.cli.generate import Config

    known = set(Config.__dataclass_fields__)
    assert set(OF_MUSIC) | set(OF_TOKENS) <= known
    assert set(Asked.__dataclass_fields__) <= known


def test_bars_are_filled_as_by_the_command(command: Command, tune_store: Path, tmp_path: Path) -> None:
    options = ("--store", tune_store, "--run", tmp_path / "run", "--epochs", "1", "--fill", "0.5", *SMALL)
    done = command("recipes/music_generation/train.py", *options)
    assert done.returncode == 0, done.stderr
    music = seqaudio.load(tmp_path / "run", api.Music)
    file = music.generate(seed=1, bars=4).write(tmp_path / "x.mid")
    done = command(
        "seqaudio", "fill", tmp_path / "run", file, "--bars", "2-3", "--out", tmp_path / "y.mid", "--seed", "5"
    )
    assert done.returncode == 0, done.stderr
    filled = read_midi(music.fill(file, 2, 3, seed=5).write(tmp_path / "z.mid"))
    assert (filled.pitch == read_midi(tmp_path / "y.mid").pitch).all()
    with pytest.raises(OptionError, match=r"^bars '3-2', expected"):
        music.fill(file, 3, 2)
    with pytest.raises(OptionError, match=r"^tries 0"):
        music.fill(file, 2, tries=0)


def test_voices_are_those_of_the_command(command: Command, tmp_path: Path) -> None:
    music = seqaudio.load("chorales")
    melody = music.generate(seed=1, bars=2).write(tmp_path / "x.mid")
    options = ("--out", tmp_path / "y.mid", "--seed", "3", "--tries", "2", "--hold", "bass")
    done = command("seqaudio", "harmonize", "chorales", melody, *options)
    assert done.returncode == 0, done.stderr
    made = read_midi(music.harmonize(melody, seed=3, tries=2, hold="bass").write(tmp_path / "z.mid"))
    assert (made.pitch == read_midi(tmp_path / "y.mid").pitch).all()
    with pytest.raises(OptionError, match=r"^key 'H'"):
        music.harmonize(melody, key="H")


# --- the page ---


def test_the_page_begins_with_what_takes_one_line() -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    assert page.index("seqaudio.load(") < page.index("RunFolder(")
    assert len(re.findall(r"```python", page)) > 8


# --- arguments of other types ---

WRONG_ASKED = [
    ({"seed": 1.5}, r"^seed 1\.5, expected a whole number$"),
    ({"seed": True}, "^seed True, expected a whole number$"),
    ({"seed": None}, "^seed None, expected a whole number$"),
    ({"bars": "4"}, "^bars '4', expected a whole number$"),
    ({"bars": 1.5}, "^bars 1.5, expected a whole number$"),
    ({"tempo": "fast"}, "^tempo 'fast', expected a number$"),
    ({"temperature": "hot"}, "^temperature 'hot', expected a number$"),
    ({"key": 3}, "^key 3, expected a text$"),
    ({"form": 3}, "^form 3, expected a text$"),
    ({"form": "A" * 10_000}, r"^form 'A{900,1000}\.\.\., expected drawn"),
    ({"instruments": ["piano"]}, r"^instruments \['piano'\], expected a text$"),
    ({"density": "loud"}, "^density 'loud', expected 'low' or 'medium' or 'high'$"),
    ({"wild": "no"}, "^wild 'no', expected True or False$"),
    ({"primer": 3}, "^a piece of type int, expected a MIDI file, a Piece or a NoteSequence$"),
]


@pytest.mark.parametrize(("asked", "words"), WRONG_ASKED, ids=lambda value: str(value)[:30])
def test_options_of_another_type_are_one_line(asked: dict[str, Any], words: str, tune_run: Path) -> None:
    with pytest.raises(OptionError, match=words):
        seqaudio.load(tune_run).generate(**asked)


def test_numbers_of_numpy_are_numbers(tune_run: Path) -> None:
    music = seqaudio.load(tune_run)
    ours = music.generate(3, bars=1, tempo=90.0)
    assert music.generate(np.int64(3), bars=np.int16(1), tempo=np.float32(90)).notes == ours.notes
    assert [piece.notes for piece in music.pieces(np.arange(3, 4), bars=1, tempo=90)] == [ours.notes]


def test_arguments_of_another_type_are_one_line(tune_run: Path, spotting_run: Path) -> None:
    music, keywords = seqaudio.load(tune_run), seqaudio.load(spotting_run)
    quiet: Any = np.zeros(RATE, np.float32)
    wrong: list[tuple[Any, str]] = [
        (lambda: seqaudio.load(None), "^run None, expected a text or a path$"),  # type: ignore[call-overload]
        (lambda: seqaudio.load(b"digits"), "^run b'digits', expected a text or a path$"),  # type: ignore[call-overload]
        (lambda: music.pieces(3), "^seeds 3, expected a list of which each is a whole number$"),
        (lambda: music.pieces("12"), "^seeds '12', expected a list"),
        (lambda: music.harmonize(None), "^a piece of type NoneType, expected a MIDI file"),
        (lambda: music.fill(music.generate(bars=1), 1, tries="a"), "^tries 'a', expected a whole number$"),
        (lambda: music.generate(bars=1).bytes(3), "^suffix 3, expected a text$"),
        (lambda: keywords.recognize(quiet, "16000"), "^rate '16000', expected a number$"),
        (lambda: keywords.recognize(quiet, [16000]), r"^rate \[16000\], expected a number$"),
        (lambda: keywords.recognize(quiet, max_seconds=float("nan")), "^max_seconds nan, expected more than 0"),
        (lambda: keywords.recognize([[1.0, 2.0], [3.0]]), r"^samples of several lengths, expected \[N\]"),
    ]
    for call, words in wrong:
        with pytest.raises(OptionError, match=words):
            call()


def test_a_name_that_no_system_takes_is_no_model() -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(RunError, match="no such folder"):
            seqaudio.load(name)
