"""A beam search as a user asks for it: transcribe, evaluate and ngram --like with a recogniser of made-up sentences."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_speech_recognition import NAMES, RECIPE, SENTENCES, sentence
from test_speech_recognition import live_run as live_run  # fixtures
from test_speech_recognition import long_recording as long_recording
from test_speech_recognition import run as run
from test_speech_recognition import sentences as sentences
from test_speech_recognition import store as store

from conftest import RATE, Command, assert_refused
from seqaudio.batching.transcribed import transcribed
from seqaudio.decoding.beam_options import BeamOptions
from seqaudio.decoding.ctc_decoder import BeamDecoder, beam_decoder, read_tuned
from seqaudio.decoding.transcription import Transcriber, recogniser_of, spelling_of
from seqaudio.evaluation.recognition import hear
from seqaudio.ngrams import read_arpa
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store


@pytest.fixture(scope="module")
def words_lm(command: Command, live_run: Path, store: Path) -> Path:
    """Words of the training texts."""
    file = store.parent / "words.arpa"
    done = command("seqaudio", "ngram", store, "--like", live_run, "--words", "--order", "2", "--out", file)
    assert done.returncode == 0, done.stderr
    return file


@pytest.fixture(scope="module")
def characters_lm(command: Command, live_run: Path, store: Path) -> Path:
    file = store.parent / "characters.arpa"
    done = command("seqaudio", "ngram", store, "--like", live_run, "--order", "4", "--out", file)
    assert done.returncode == 0, done.stderr
    assert "over characters" in done.stdout
    return file


def decoder(run: Path, **options: object) -> BeamDecoder:
    folder = RunFolder(run)
    return beam_decoder(folder, spelling_of(folder), BeamOptions(beam=30, **options), count=4)  # type: ignore[arg-type]


# --- transcribe ---


def test_transcribe_writes_the_best_hypothesis_with_its_words_and_the_others(
    command: Command, live_run: Path, sentences: Path, words_lm: Path
) -> None:
    file = sentences / "s84.wav"
    options = ("--beam", "30", "--lm", words_lm, "--alpha", "0.6", "--beta", "1", "--json", "--words", "--nbest", "3")
    done = command("seqaudio", "transcribe", live_run, file, *options)
    assert (done.returncode, done.stderr) == (0, "")
    (utterance,) = json.loads(done.stdout)["utterances"]
    assert utterance["text"] == " ".join(word["word"] for word in utterance["words"]) == sentence(84)[1]
    times = [time for word in utterance["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert utterance["start"] <= times[0] < times[-1] <= utterance["end"]
    first, *others = utterance["hypotheses"]
    assert first["text"] == utterance["text"]
    assert len(others) == 2
    for found in (first, *others):
        assert found["score"] == pytest.approx(found["acoustic"] + 0.6 * found["lm"] + found["words"])
        assert found["score"] <= first["score"]


@pytest.mark.parametrize("weights", [("--alpha", "1000"), ("--beta", "-1000")])
def test_weights_that_outweigh_the_sound_are_told(
    command: Command, live_run: Path, sentences: Path, words_lm: Path, weights: tuple[str, str]
) -> None:
    options = ("--beam", "10", "--lm", words_lm, "--alpha", "0.5", *weights)
    done = command("seqaudio", "transcribe", live_run, sentences / "s84.wav", *options)
    assert (done.returncode, done.stdout) == (0, f"{sentences / 's84.wav'}\t\n"), "an empty text"
    assert "outweigh the sound" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wide_beam_without_a_model_never_is_less_likely_than_the_best_path(live_run: Path, store: Path) -> None:
    held = Store(store)
    spelling = spelling_of(RunFolder(live_run))
    heard = hear(recogniser_of(RunFolder(live_run)), transcribed(held, held["valid"], spelling))
    search = decoder(live_run)
    for matrix in heard.log_probabilities:
        assert search(matrix).hypotheses[0].acoustic >= matrix.max(axis=1).sum() - 1e-3


@pytest.mark.parametrize("block", [37, 4_000])
def test_blocks_of_a_stream_do_not_change_text_or_times(
    live_run: Path, long_recording: Path, words_lm: Path, block: int
) -> None:
    samples = soundfile.read(long_recording, dtype="float32")[0][: 20 * RATE]
    run = RunFolder(live_run)
    transcriber = Transcriber(run, streaming=True, decode=decoder(live_run, lm=words_lm, alpha=0.5))
    blocks = (samples[start : start + block] for start in range(0, len(samples), block))
    streamed, whole = list(transcriber.utterances(blocks)), list(transcriber.utterances([samples]))
    assert streamed == whole
    assert len(whole) > 3
    assert all(each.text == each.hypotheses[0].text for each in whole if each.words)


def test_streamed_text_with_a_beam_is_that_of_the_file(
    command: Command, live_run: Path, long_recording: Path, words_lm: Path
) -> None:
    options = ("--beam", "20", "--lm", words_lm, "--alpha", "0.5")
    whole = command("seqaudio", "transcribe", live_run, long_recording, *options)
    streamed = command("seqaudio", "transcribe", live_run, long_recording, "--stream", *options)
    assert whole.returncode == streamed.returncode == 0, whole.stderr + streamed.stderr
    assert " ".join(streamed.stdout.split()) == whole.stdout.rstrip("\n").partition("\t")[2]
    assert set(streamed.stdout.split()) <= set(NAMES)


def test_a_lexicon_alone_permits_its_words(command: Command, live_run: Path, sentences: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(";;; numbers\ntwo T UW\nthree TH R IY\nzwölf TS V\n")
    files = [sentences / f"s{number}.wav" for number in range(84, SENTENCES)]
    options = ("--beam", "30", "--lexicon", tmp_path / "words.txt")
    done = command("seqaudio", "transcribe", live_run, *files, *options)
    assert done.returncode == 0
    assert "1 of 3 words left out" in done.stderr
    found = [line.partition("\t")[2].split() for line in done.stdout.splitlines()]
    assert {word for words in found for word in words} == {"two", "three"}


# --- evaluate ---


def test_weights_are_tuned_on_validation_and_used_on_the_test(
    command: Command, run: Path, characters_lm: Path, words_lm: Path, tmp_path: Path
) -> None:
    options = ("--beam", "10", "--lm", characters_lm)
    done = command(f"{RECIPE}/evaluate.py", "--run", run, *options, "--tune")
    assert done.returncode == 0, done.stderr
    assert "word errors " in done.stdout
    assert "(greedy " in done.stdout
    (tuned,) = read_tuned(RunFolder(run))
    assert tuned.recordings == 12

    again = command(f"{RECIPE}/evaluate.py", "--run", run, *options, "--json")
    metrics = json.loads(again.stdout)["metrics"]
    assert metrics["beam_wer"] == tuned.wer <= metrics["wer"]
    done = command(f"{RECIPE}/evaluate.py", "--run", run, *options, "--split", "test")
    assert (done.returncode, done.stderr) == (0, "")
    details = json.loads((run / "results.json").read_text())["test_details"]["beam"]
    assert (details["alpha"], details["beta"], details["lm"]) == (tuned.alpha, tuned.beta, tuned.lm)
    assert read_tuned(RunFolder(run)) == [tuned], "the test changes nothing"

    other = command(f"{RECIPE}/evaluate.py", "--run", run, "--beam", "10", "--lm", words_lm)
    assert "nothing was tuned for this language model;" in other.stderr, "weights belong to a model's content"
    lexicon = tmp_path / "words.txt"
    lexicon.write_text("one\ntwo\n")
    other = command(f"{RECIPE}/evaluate.py", "--run", run, *options, "--lexicon", lexicon)
    assert "nothing was tuned for this language model with this lexicon;" in other.stderr
    assert f"--lexicon {lexicon} chooses them" in other.stderr


def test_texts_in_blocks_are_those_of_whole_recordings(command: Command, live_run: Path) -> None:
    done = command(f"{RECIPE}/evaluate.py", "--run", live_run, "--streamed", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["details"]["streamed_otherwise"] == 0
    assert "cer" in found["metrics"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tune",), ("--tune needs --beam",)),
        (("--tune", "--beam", "10", "--split", "test"), ("--split valid",)),
        (("--lm", "{words}"), ("--lm is for a beam search", "--beam 50")),
        (("--beam", "10", "--alpha", "1"), ("--lm",)),
        (("--beam", "10", "--lm", "{folder}/none.arpa"), ("none.arpa: no such file", "seqaudio ngram")),
        (("--beam", "10", "--lm", "{folder}/table.csv"), ("table.csv", "expected an ARPA file")),
        (("--beam", "10", "--lm", "{folder}/cut.arpa"), ("cut.arpa: ", "line ")),
        (("--beam", "10", "--lm", "{folder}/other.arpa"), ("spell none of the words", "--like RUN --words")),
        (("--beam", "10", "--lm", "{folder}/others.arpa"), ("'e', 'h', 'o'", "--like RUN")),
        (("--beam", "10", "--lm", "{run}"), ("speech_recognition", "language_modelling")),
        (("--beam", "10", "--lexicon", "{folder}/none.txt"), ("none.txt",)),
        (("--beam", "10", "--lexicon", "{folder}/other.txt"), ("none of its 2 words",)),
        (("--beam", "10", "--lexicon", "{folder}/blank.txt"), ("blank.txt: has no words",)),
        (("--beam", "-1"), ("--beam -1, expected 0 to",)),
        (("--beam", "10", "--lm", "{words}", "--alpha", "nan"), ("--alpha nan",)),
    ],
)
def test_what_does_not_fit_is_one_line(
    command: Command, live_run: Path, words_lm: Path, sentences: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (sentences / "cut.arpa").write_bytes(words_lm.read_bytes()[:200])
    (sentences / "other.arpa").write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-1\tSIX\n-1\tTWO\n\n\\end\\\n")
    (sentences / "others.arpa").write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-1\t<space>\n-1\tn\n\n\\end\\\n")
    (sentences / "other.txt").write_text("SIX\nTWO\n")
    (sentences / "blank.txt").write_text(" \n")
    before = sorted(live_run.iterdir())
    given = [option.format(words=words_lm, folder=sentences, run=live_run) for option in options]
    assert_refused(command(f"{RECIPE}/evaluate.py", "--run", live_run, *given), *words)
    assert sorted(live_run.iterdir()) == before


def test_a_damaged_file_of_weights_is_named(command: Command, run: Path, words_lm: Path) -> None:
    (run / "decoding.json").write_text('{"tuned": [{"lm": 3}]}')
    done = command(f"{RECIPE}/evaluate.py", "--run", run, "--beam", "5", "--lm", words_lm)
    assert_refused(done, "decoding.json: damaged", "remove it")


# --- sounds and texts that are odd ---


def test_silence_and_sound_of_one_step_give_no_words(live_run: Path, words_lm: Path) -> None:
    found = decoder(live_run, lm=words_lm)
    assert found(np.zeros((0, len(found.search.units)))).units == []
    transcriber = Transcriber(RunFolder(live_run), decode=found)
    for samples in (np.zeros(RATE, np.float32), np.zeros(50, np.float32), np.zeros(0, np.float32)):
        assert not any(utterance.words for utterance in transcriber.utterances([samples]))
    never = np.full((3, len(found.search.units)), -math.inf)
    assert found(never).units == ()


def test_ngrams_are_written_as_the_recogniser_writes_texts(
    command: Command, live_run: Path, words_lm: Path, characters_lm: Path, tmp_path: Path
) -> None:
    assert set(read_arpa(words_lm).words[3:]) == set(NAMES)
    assert set(read_arpa(characters_lm).words[3:]) == set(RunFolder(live_run).vocabulary) - {"<blank>"}
    upper = Path(shutil.copytree(live_run, tmp_path / "upper"))
    config = json.loads((upper / "config.json").read_text())
    config["input"]["text"] |= {"case": "upper", "punctuation": False}
    (upper / "config.json").write_text(json.dumps(config))
    (tmp_path / "text.txt").write_text("Two, three!\n\n... \nOne-two\n" * 8)
    out = tmp_path / "upper.arpa"
    done = command("seqaudio", "ngram", tmp_path / "text.txt", "--like", upper, "--words", "--out", out)
    assert done.returncode == 0, done.stderr
    assert set(read_arpa(out).words[3:]) == {"ONE", "TWO", "THREE"}
    assert "note:" in done.stderr
    assert "'E', 'H', 'N', 'O', 'R', 'T', 'W' not among the characters" in done.stderr


def test_ngrams_like_something_else_are_refused(command: Command, store: Path, word_run: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "ngram", store, "--like", word_run, "--out", tmp_path / "new.arpa")
    assert_refused(done, "needs one of 'speech_recognition'")
    (tmp_path / "text.txt").write_text("...\n!!\n" * 40)
    done = command("seqaudio", "ngram", tmp_path / "text.txt", "--out", tmp_path / "new.arpa", "--like", store)
    assert_refused(done, "not a run")
    assert not (tmp_path / "new.arpa").exists()


def test_nbest_needs_a_beam_and_json(command: Command, live_run: Path, sentences: Path) -> None:
    file = sentences / "s00.wav"
    assert_refused(
        command("seqaudio", "transcribe", live_run, file, "--nbest", "3", "--json"), "--nbest 3 needs --beam"
    )
    assert_refused(command("seqaudio", "transcribe", live_run, file, "--lm", file), "--beam 50")
