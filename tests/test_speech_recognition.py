"""Speech recognition as a user walks it, on made-up sentences: train, evaluate, transcribe, and what is refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import seqaudio
from conftest import RATE, Command, assert_refused, spoken
from seqaudio.api import Recogniser
from seqaudio.batching.transcribed import UNKNOWN, alignable, transcribed
from seqaudio.cli.scripts import load, recipes
from seqaudio.decoding.subtitles import cues, srt, vtt
from seqaudio.decoding.transcription import Transcriber, Word, recogniser_of, spelling_of
from seqaudio.errors import OptionError, StoreError, VocabularyError
from seqaudio.evaluation.error_report import ErrorReport
from seqaudio.evaluation.recognition import hear, metrics_of
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.transcripts import Spelling, TextSettings, Units

RECIPE = "recipes/speech_recognition"
NAMES = ("one", "two", "three")
SMALL = (
    "--hidden-size", "32", "--layers", "1", "--filters", "0", "--dropout", "0", "--batch-size", "4", "--device", "cpu",
    "--learning-rate", "1e-2", "--average", "0.9", "--no-augment",
)  # fmt: skip
SENTENCES = 96


def sentence(number: int) -> tuple[np.ndarray, str]:
    """One to four made-up words with short pauses, and their text."""
    draw = np.random.default_rng(number)
    words = draw.integers(len(NAMES), size=draw.integers(1, 5)).tolist()
    parts = [np.zeros(RATE // 10, dtype=np.float32)]
    for place, word in enumerate(words):
        pause = np.zeros(round(draw.uniform(0.05, 0.2) * RATE), dtype=np.float32)
        parts += [spoken(word, number % 4, 100 * number + place), pause]
    samples = np.concatenate(parts)
    samples += 0.003 * draw.standard_normal(len(samples)).astype(np.float32)
    return samples, " ".join(NAMES[word] for word in words)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings with a table of their texts."""
    folder = tmp_path_factory.mktemp("sentences")
    rows = []
    for number in range(SENTENCES):
        samples, text = sentence(number)
        soundfile.write(folder / f"s{number:02}.wav", samples, RATE)
        rows.append((f"s{number:02}.wav", text, "valid" if number >= 84 else "test" if number >= 72 else "train"))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "text", "split"), *rows])
    return folder


@pytest.fixture(scope="module")
def store(command: Command, sentences: Path) -> Path:
    options = ("--sample-rate", "8000", "--features", "log_mel+mels=20")
    done = command(
        "data_prep/audio_folder.py", "--source", sentences / "table.csv", "--out", sentences / "store", *options
    )
    assert done.returncode == 0, done.stderr
    return sentences / "store"


@pytest.fixture(scope="module")
def live_run(command: Command, store: Path) -> Path:
    """A causal recogniser of the sentences."""
    run = store.parent / "live"
    options = ("--store", store, "--run", run, "--epochs", "30", "--no-bidirectional", *SMALL)
    done = command(f"{RECIPE}/train.py", *options)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def run(live_run: Path, tmp_path: Path) -> Path:
    """The same, to write into."""
    return Path(shutil.copytree(live_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def long_recording(sentences: Path) -> Path:
    """All training sentences one after the other with pauses; behind the samples the text."""
    pause = 0.003 * np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    parts = [part for number in range(60) for part in (sentence(number)[0], pause)]
    soundfile.write(sentences / "long.flac", np.concatenate(parts), RATE)
    return sentences / "long.flac"


def test_made_up_sentences_are_recognised(live_run: Path, store: Path) -> None:
    data = json.loads((live_run / "results.json").read_text())
    assert data["valid"]["wer"] <= 0.1
    assert data["valid"]["count"] == Store(store).counts["valid"].rows
    assert data["valid"]["nats_per_character"] < data["baselines"]["kneser-ney"]["valid"]["nats_per_character"]
    assert data["test"] is None, "training never opens the test split"
    run = RunFolder(live_run)
    assert run.vocabulary.names == ("<blank>", " ", "e", "h", "n", "o", "r", "t", "w")
    assert spelling_of(run).settings == TextSettings()
    assert recogniser_of(run).causal


def test_python_writes_down_what_the_command_does(command: Command, live_run: Path, long_recording: Path) -> None:
    model = seqaudio.load(live_run, Recogniser)
    found = model.transcribe(long_recording)
    said = command("seqaudio", "transcribe", live_run, long_recording, "--json", "--words")
    told = json.loads(said.stdout)
    assert found.text == told["text"]
    assert found.seconds == pytest.approx(told["seconds"], abs=1e-3)
    words = [(word["word"], word["start"]) for one in told["utterances"] for word in one["words"]]
    assert [(word.text, round(word.start, 3)) for word in found.words] == words
    assert 0 < found.confidence <= 1
    samples, rate = soundfile.read(long_recording, dtype="float32")
    assert model.transcribe(samples, rate).text == found.text
    assert model.transcribe(np.repeat(samples[: 4 * rate], 2), 2 * rate).text
    live, heard = model.stream(), []
    for block in np.array_split(samples, 91):
        heard += live.push(block)
    assert [word.text for word in [*heard, *live.finish()]] == found.text.split()
    nothing = model.transcribe(np.zeros(model.sample_rate, dtype=np.float32))
    assert (nothing.text, nothing.words, nothing.confidence) == ("", (), 1.0)


def test_a_beam_search_in_python_is_that_of_the_command(command: Command, live_run: Path, sentences: Path) -> None:
    file = sentences / "s80.wav"
    (sentences / "words.txt").write_text("one\ntwo\nthree\n")
    model = seqaudio.load(live_run, Recogniser)
    found = model.transcribe(file, beam=20, lexicon=sentences / "words.txt", nbest=3)
    done = command("seqaudio", "transcribe", live_run, file, "--beam", "20", "--lexicon", sentences / "words.txt")
    assert done.stdout == f"{file}\t{found.text}\n"
    assert 1 <= len(found.utterances[0].hypotheses) <= 3
    with pytest.raises(OptionError, match=r"^alpha is for a beam search; give beam too"):
        model.transcribe(file, alpha=0.3)
    with pytest.raises(OptionError, match=r"^beam -1, expected"):
        model.transcribe(file, beam=-1)


def test_evaluation_prints_rates_a_table_and_a_picture(command: Command, run: Path, tmp_path: Path) -> None:
    options = ("--split", "test", "--texts", tmp_path / "texts.tsv")
    done = command(f"{RECIPE}/evaluate.py", "--run", run, *options)
    assert done.returncode == 0, done.stderr
    assert "test word errors " in done.stdout
    assert "replaced  deleted  inserted" in " ".join(done.stdout.split("\n"))
    assert (run / "figures" / "alignment.png").stat().st_size > 10_000
    assert len((run / "test_reads.tsv").read_text().splitlines()) == 2
    rows = [line.split("\t") for line in (tmp_path / "texts.tsv").read_text().splitlines()]
    assert rows[0] == ["id", "errors", "units", "text", "heard"]
    assert [row[3] for row in rows[1:]] == [sentence(number)[1] for number in range(72, 84)]
    data = json.loads((run / "results.json").read_text())
    errors = data["test_details"]["errors"]["word"]
    assert sum(int(row[1]) for row in rows[1:]) == errors["substitutions"] + errors["deletions"] + errors["insertions"]
    assert data["test"]["wer"] == pytest.approx(sum(int(row[1]) for row in rows[1:]) / errors["units"])
    assert_refused(command(f"{RECIPE}/evaluate.py", "--run", run, *options), "texts.tsv exists; give --force")
    assert len((run / "test_reads.tsv").read_text().splitlines()) == 2, "refused before the test is read"


def test_evaluation_as_json_is_one_object(command: Command, live_run: Path) -> None:
    done = command(f"{RECIPE}/evaluate.py", "--run", live_run, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"wer", "cer", "nats_per_character", "count"} <= set(found["metrics"])
    assert set(found["details"]) == {"errors", "confusions", "worst", "all_right"}


def test_a_training_killed_in_its_last_epoch_ends_with_equal_bytes(
    command: Command, store: Path, tmp_path: Path
) -> None:
    options = ("--store", store, "--run", tmp_path / "run", "--epochs", "3", "--filters", "3", *SMALL[:4], "--dropout",
               "0.2", "--batch-size", "8", "--device", "cpu")  # fmt: skip
    assert command(f"{RECIPE}/train.py", *options).returncode == 0
    whole = (tmp_path / "run" / "model.safetensors").read_bytes()
    for file in sorted((tmp_path / "run" / "resume").iterdir())[2:]:  # as if the power had failed
        file.unlink()
    (tmp_path / "run" / "results.json").unlink()
    done = command(f"{RECIPE}/train.py", *options, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resuming in epoch 3" in done.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole


def test_a_recogniser_is_probed_step_by_step(command: Command, live_run: Path, store: Path) -> None:
    done = command("seqaudio", "probe", live_run, store, "--sequences", "3")
    assert done.returncode == 0, done.stderr
    longest = max(Store(store)["valid"].lengths.tolist())
    assert "Recogniser: 3 rows of up to " in done.stdout
    assert int(done.stdout.partition("up to ")[2].split()[0]) <= longest // 3


def test_words_are_units_and_phones_too(command: Command, store: Path, tmp_path: Path) -> None:
    (tmp_path / "words.dic").write_text("one W AH N\ntwo T UW\nthree TH R IY\n")
    for units, metric in (("words", "wer"), ("phones", "per")):
        lexicon = ("--lexicon", tmp_path / "words.dic") if units == "phones" else ()
        options = ("--store", store, "--run", tmp_path / units, "--epochs", "1", "--units", units, *lexicon, *SMALL)
        done = command(f"{RECIPE}/train.py", *options)
        assert done.returncode == 0, done.stderr
        assert metric in json.loads((tmp_path / units / "results.json").read_text())["valid"]
        assert command(f"{RECIPE}/evaluate.py", "--run", tmp_path / units).returncode == 0


LEXICON = {"one": ("W", "AH", "N"), "two": ("T", "UW"), "three": ("T", "UW", "IY")}


@pytest.mark.parametrize(("units", "rate"), [("words", "wer"), ("characters", "cer"), ("phones", "per")])
def test_an_unknown_unit_is_an_error_but_no_nats(
    store: Path, live_run: Path, monkeypatch: pytest.MonkeyPatch, units: Units, rate: str
) -> None:
    monkeypatch.setattr("seqaudio.batching.transcribed.MOSTLY", 1.0)
    held = Store(store)
    spelling = Spelling.of_texts(["one two"], TextSettings(units), LEXICON)
    recordings = transcribed(held, held["valid"], spelling)
    unknown = [UNKNOWN in ids for ids in recordings.targets]
    assert unknown == ["three" in text for text in recordings.texts]
    assert 0 < sum(unknown) < len(unknown)
    torch.manual_seed(0)
    model = recogniser_of(RunFolder(live_run))
    model.output = torch.nn.Linear(model.output.in_features, len(spelling.vocabulary))
    heard = hear(model, recordings)
    known = [ids for ids in recordings.targets if UNKNOWN not in ids]
    assert heard.units == sum(map(len, known))
    # as if everything had been understood but what the recogniser cannot write
    texts = tuple(spelling.text(ids[ids != UNKNOWN]) for ids in recordings.targets)
    metrics = metrics_of(recordings, heard, texts)
    written = [unit for text in recordings.texts for unit in spelling.units(text)]
    share = sum(unit not in spelling.vocabulary for unit in written) / len(written)
    assert metrics[f"unknown_{units}"] == pytest.approx(share)
    assert metrics[rate] == pytest.approx(share)
    report = ErrorReport.of(recordings, texts)
    phones = tuple(" ".join(spelling.units(text)) for text in recordings.texts)
    assert report.texts == (phones if units == "phones" else recordings.texts)
    told = next(line for line in report.lines() if line.startswith("always errors: "))
    assert f"in {sum(unknown)} of 12 texts, such as that of {recordings.ids[unknown.index(True)]}" in told


def test_texts_that_are_written_otherwise_are_refused(store: Path) -> None:
    held = Store(store)
    with pytest.raises(VocabularyError, match=r"'e', 'h', 'n', .* in 12 of 12 texts, such as that of .*; give --case"):
        transcribed(held, held["valid"], Spelling.of_texts(["ONE TWO"], TextSettings()))


def test_a_note_names_what_cannot_be_written(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = Store(store)
    spelling = Spelling.of_texts(["one two"], TextSettings("words"))
    alignable(transcribed(held, held["valid"], spelling), 3, skip=False, what="valid")
    assert capsys.readouterr().err.startswith("note: valid: 'three' in ")
    alignable(transcribed(held, held["valid"], Spelling.of_texts(NAMES, TextSettings("words"))), 3, False, "valid")
    assert capsys.readouterr().err == ""


def test_recordings_too_short_for_their_text_are_named_and_left_out(
    command: Command, store: Path, tmp_path: Path
) -> None:
    held = Store(store)
    spelling = Spelling.of_texts(held["train"].column("text"), TextSettings())
    found = transcribed(held, held["train"], spelling)
    shortest = int((found.lengths // 8 - found.needed()).argmin())
    wrong = found.lengths // 8 < found.needed()
    with pytest.raises(StoreError) as caught:
        alignable(found, 8, skip=False, what="train")
    first = int(np.flatnonzero(wrong)[0])
    assert f"train: {found.ids[first]} (" in str(caught.value)
    assert f"{found.lengths[first]:,} frames) has {found.lengths[first] // 8} steps" in str(caught.value)
    assert f"{wrong.sum()} of 72 recordings of train cannot be aligned" in str(caught.value)
    kept = alignable(found, 8, skip=True, what="train")
    assert len(kept.rows) == 72 - wrong.sum()
    assert found.ids[shortest] not in kept.ids
    batch = kept([0, 1], 0)
    assert batch.targets is not None
    assert spelling.text(batch.targets[: len(kept.targets[1]), 1].tolist()) == kept.texts[1]

    options = ("--store", store, "--run", tmp_path / "run", "--epochs", "1", "--subsampling", "8", *SMALL)
    assert_refused(command(f"{RECIPE}/train.py", *options), "--skip-infeasible", "--subsampling")
    assert not (tmp_path / "run").exists()
    assert command(f"{RECIPE}/train.py", *options, "--skip-infeasible").returncode == 0


def test_recordings_without_a_text_are_named(command: Command, word_store: Path, tmp_path: Path) -> None:
    done = command(f"{RECIPE}/train.py", "--store", word_store, "--run", tmp_path / "run", *SMALL)
    assert_refused(done, "no recording has a text")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--units", "phones"), ("lexicon",)),
        (("--bptt", "truncated"), ("--bptt full",)),
        (("--subsampling", "0"), ("--subsampling 0",)),
        (("--cell", "gruu"), ("did you mean gru",)),
    ],
)
def test_options_that_cannot_be_are_one_line(
    command: Command, store: Path, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = command(f"{RECIPE}/train.py", "--store", store, "--run", tmp_path / "run", *options, "--hidden-size", "8")
    assert_refused(done, *words)
    assert not (tmp_path / "run").exists()


# --- transcribe ---


def test_transcribe_writes_what_evaluation_hears(
    command: Command, live_run: Path, store: Path, sentences: Path
) -> None:
    held = Store(store)
    recordings = transcribed(held, held["valid"], spelling_of(RunFolder(live_run)))
    heard = hear(recogniser_of(RunFolder(live_run)), recordings).texts
    files = [sentences / f"s{number}.wav" for number in range(84, SENTENCES)]
    done = command("seqaudio", "transcribe", live_run, *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{file}\t{text}" for file, text in zip(files, heard, strict=True)]


def test_transcribe_goes_on_after_a_file_that_cannot_be_read(
    command: Command, live_run: Path, sentences: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF no more")
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "blip.wav", np.zeros(20), RATE)
    shutil.copy(sentences / "s00.wav", tmp_path / "word.wav")
    done = command("seqaudio", "transcribe", live_run, tmp_path)
    assert_refused(done, "broken.wav", "blip.wav: too_short: 20 samples")
    assert done.stdout.splitlines() == [
        f"{tmp_path / 'silence.wav'}\t",
        f"{tmp_path / 'word.wav'}\t{sentence(0)[1]}",
    ]


def test_streamed_text_is_the_same_text(command: Command, live_run: Path, long_recording: Path) -> None:
    whole = command("seqaudio", "transcribe", live_run, long_recording)
    streamed = command("seqaudio", "transcribe", live_run, long_recording, "--stream")
    assert whole.returncode == streamed.returncode == 0
    text = whole.stdout.rstrip("\n").partition("\t")[2]
    assert " ".join(streamed.stdout.split()) == text
    assert len(streamed.stdout.splitlines()) > 10, "pauses end lines"
    said = " ".join(sentence(number)[1] for number in range(60)).split()
    assert abs(len(text.split()) - len(said)) < 0.1 * len(said)


@pytest.mark.parametrize("block", [37, 800, 10**9])
def test_words_of_a_stream_do_not_depend_on_its_blocks(live_run: Path, long_recording: Path, block: int) -> None:
    samples = soundfile.read(long_recording, dtype="float32")[0][: 30 * RATE]
    transcriber = Transcriber(RunFolder(live_run), streaming=True)
    told: list[Word] = []
    blocks = (samples[start : start + block] for start in range(0, len(samples), block))
    utterances = list(transcriber.utterances(blocks, told.append))
    assert told == [word for utterance in utterances for word in utterance.words]
    expected = list(transcriber.utterances([samples]))
    assert [each.text for each in utterances] == [each.text for each in expected]
    assert [(each.start, each.end) for each in utterances] == [(each.start, each.end) for each in expected]
    surely = [word.confidence for utterance in expected for word in utterance.words]
    assert [word.confidence for word in told] == pytest.approx(surely, rel=1e-4)
    assert all(0 < confidence <= 1 for confidence in surely)
    times = [time for word in told for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= len(samples) / RATE


def test_times_as_json_and_subtitles(command: Command, live_run: Path, sentences: Path, tmp_path: Path) -> None:
    file = sentences / "s00.wav"
    found = json.loads(command("seqaudio", "transcribe", live_run, file, "--json", "--words").stdout)
    assert found["text"] == sentence(0)[1]
    assert found["seconds"] == pytest.approx(len(sentence(0)[0]) / RATE, abs=1e-3)
    words = [word for utterance in found["utterances"] for word in utterance["words"]]
    assert [word["word"] for word in words] == sentence(0)[1].split()
    lines = command("seqaudio", "transcribe", live_run, file, "--srt").stdout.splitlines()
    assert (lines[0], lines[2]) == ("1", sentence(0)[1])
    assert command("seqaudio", "transcribe", live_run, file, "--vtt").stdout.startswith("WEBVTT\n\n00:00:00.")
    done = command("seqaudio", "transcribe", live_run, file, sentences / "s01.wav", "--out", tmp_path / "texts")
    assert done.returncode == 0
    assert (tmp_path / "texts" / "s01.txt").read_text() == f"{sentence(1)[1]}\n"
    assert_refused(
        command("seqaudio", "transcribe", live_run, file, "--out", tmp_path / "texts"), "exists; give --force"
    )


def test_confidence_tells_noise_from_speech(command: Command, live_run: Path, sentences: Path, tmp_path: Path) -> None:
    noise = 0.3 * np.random.default_rng(0).standard_normal(2 * RATE)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    shutil.copy(sentences / "s00.wav", tmp_path / "word.wav")
    lines = command("seqaudio", "transcribe", live_run, tmp_path, "--json", "--words").stdout.splitlines()
    of_noise, of_word = (json.loads(line)["utterances"] for line in lines)
    (utterance,) = of_word
    confidences = [word["confidence"] for word in utterance["words"]]
    assert utterance["confidence"] == pytest.approx(math.prod(confidences) ** (1 / len(confidences)), abs=1e-3)
    assert of_noise, "the recogniser writes letters for noise"
    least = max(each["confidence"] for each in of_noise) + 1e-4
    assert least < utterance["confidence"]
    done = command("seqaudio", "transcribe", live_run, tmp_path, "--min-confidence", f"{least:.5f}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{tmp_path / 'noise.wav'}\t", f"{tmp_path / 'word.wav'}\t{sentence(0)[1]}"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{word}", "--stream", "--min-confidence", "0.5"), ("--min-confidence", "--json")),
        (("{word}", "--json", "--srt"), ("--json and --srt exclude each other",)),
        (("{word}", "{word}", "--srt"), ("--out FOLDER",)),
        (("-",), ("--stream",)),
        (("--stream",), ("--stream takes one source, got 0",)),
        (("{word}", "--stream", "--vtt"), ("--vtt is not for --stream",)),
        ((), ("no recordings",)),
        (("--srt",), ("no recordings",)),
        (("{word}", "{word}", "--out", "{folder}/texts"), ("two recordings are called s00", "two commands")),
        (("{folder}/none.wav",), ("none.wav: missing",)),
    ],
)
def test_transcribe_refuses_in_one_line(
    command: Command, live_run: Path, sentences: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    given = (argument.format(word=sentences / "s00.wav", folder=sentences) for argument in arguments)
    assert_refused(command("seqaudio", "transcribe", live_run, *given), *words)


def test_a_model_that_needs_whole_recordings_does_not_stream(command: Command, store: Path, tmp_path: Path) -> None:
    options = ("--store", store, "--run", tmp_path / "run", "--epochs", "1", "--limit", "8", *SMALL)
    assert command(f"{RECIPE}/train.py", *options).returncode == 0
    sound = store.parent / "s00.wav"
    done = command("seqaudio", "transcribe", tmp_path / "run", sound, "--stream")
    assert_refused(done, "needs whole recordings", "--no-bidirectional")
    assert command("seqaudio", "transcribe", tmp_path / "run", sound).returncode == 0
    done = command(f"{RECIPE}/evaluate.py", "--run", tmp_path / "run", "--streamed")
    assert_refused(done, "needs whole recordings", "--streamed")
    assert "state of a stream: none" in command("seqaudio", "info", tmp_path / "run").stdout


def test_a_recipe_of_one_file_has_its_defaults(store: Path, tmp_path: Path) -> None:
    module = load(recipes("train.py")["speech_recognition"])
    module.main(module.Config(store=store, run=tmp_path / "run", epochs=1, limit=8, parameters=30_000, layers=1))
    assert json.loads((tmp_path / "run" / "results.json").read_text())["parameters"] == pytest.approx(30_000, rel=0.05)


def test_cues_end_in_gaps_and_before_they_are_too_long() -> None:
    words = [Word("ONE", 0.5, 0.9), Word("TWO", 1.0, 1.4), Word("THREE", 3.0, 3.3)]
    assert cues(words) == [Word("ONE TWO", 0.5, 1.4), Word("THREE", 3.0, 3.3)]
    assert cues(words, each=True) == words
    assert len(cues([Word("ABCDEFGHI", place * 0.2, place * 0.2 + 0.1) for place in range(30)])) == 4
    assert srt(cues(words)[:1]) == "1\n00:00:00,500 --> 00:00:01,400\nONE TWO\n"
    assert vtt([Word("A<B", 3661.0005, 3662.0)]) == "WEBVTT\n\n01:01:01.000 --> 01:01:02.000\nA&lt;B\n"


# --- recordings with their texts beside them ---


def test_a_text_beside_a_recording_is_its_text(command: Command, tmp_path: Path) -> None:
    for number in range(6):
        soundfile.write(tmp_path / f"a.{number}.wav", spoken(0, 0, number), RATE)
    for number in range(4):
        (tmp_path / f"a.{number}.txt").write_bytes(f"\ufeffSay  {number}\r\nagain\n".encode())
    (tmp_path / "notes.txt").write_text("no recording has this name")
    done = command("data_prep/audio_folder.py", "--source", tmp_path, "--out", tmp_path / "out" / "store")
    assert done.returncode == 0, done.stderr
    assert "texts: of 4 recordings" in done.stdout
    assert "1 file skipped: .txt 1" in done.stdout
    store = Store(tmp_path / "out" / "store")
    splits = [store[name] for name in store.counts]
    found = {row["id"]: row["text"] for split in splits for row in map(split.fields, range(len(split)))}
    # the others have neither label nor text, so the ledger has them
    assert found == {f"a.{number}.wav": f"Say {number} again" for number in range(4)}


def test_a_text_that_is_not_utf_8_is_named(command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", spoken(0, 0, 0), RATE)
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    done = command("data_prep/audio_folder.py", "--source", tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "a.txt: not text in UTF-8")
