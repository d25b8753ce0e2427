"""The whole path as a user walks it, on made-up recordings and tunes: prepare, train, evaluate, use."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import SMALL, Command, assert_refused
from seqaudio.cli.scripts import load, recipes
from seqaudio.midi import read_midi
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens import build_representation

KEYWORDS = "recipes/keyword_recognition"
MUSIC = "recipes/music_generation"


def results(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "results.json").read_text())
    return data


def test_a_keyword_recogniser_learns_made_up_words(word_run: Path) -> None:
    data = results(word_run)
    assert data["valid"]["accuracy"] >= 0.9
    assert data["baselines"]["5-nearest-neighbours"]["valid"]["accuracy"] > 1 / 3
    assert data["test"] is None, "training never opens the test split"
    assert not (word_run / "test_reads.tsv").exists()


def test_each_reading_of_the_test_split_is_recorded(
    command: Command, word_store: Path, word_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(word_run, run)
    for _ in range(2):
        done = command(f"{KEYWORDS}/evaluate.py", "--run", run, "--split", "test")
        assert done.returncode == 0, done.stderr
    assert len((run / "test_reads.tsv").read_text().splitlines()) == 3
    data = results(run)
    assert data["test_reads"] == 2
    assert f"test accuracy {100 * data['test']['accuracy']:.2f} %" in done.stdout
    assert data["test"]["count"] == Store(word_store).counts["test"].rows
    command(f"{KEYWORDS}/evaluate.py", "--run", run, "--split", "valid")
    assert results(run)["test_reads"] == 2


def test_recognize_names_the_word_in_each_recording(command: Command, word_run: Path, word_folder: Path) -> None:
    files = [word_folder / label / "s1_2.wav" for label in ("one", "two", "three")]
    done = command("seqaudio", "recognize", word_run, *files)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(file) for file in files]
    assert [line[1] for line in lines] == ["one", "two", "three"]
    assert all(0.34 < float(line[2]) <= 1 for line in lines)


def test_recognize_goes_on_after_a_damaged_file_and_names_it(
    command: Command, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF no more")
    good = word_folder / "one" / "s1_2.wav"
    done = command("seqaudio", "recognize", word_run, tmp_path / "broken.wav", good)
    assert done.stdout.startswith(f"{good}\tone\t")
    assert_refused(done, "broken.wav")


def test_music_is_learnt_beyond_its_tokens_frequencies(tune_store: Path, tune_run: Path) -> None:
    data = results(tune_run)
    assert data["valid"]["nats_per_event"] < data["baselines"]["unigram"]["valid"]["nats_per_event"]
    store = Store(tune_store)
    assert data["valid"]["count"] == store.counts["valid"].steps + len(store["valid"])


def test_music_is_evaluated_beside_ngrams_on_the_same_events(
    command: Command, tune_store: Path, tune_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tune_run, run)
    done = command(f"{MUSIC}/evaluate.py", "--run", run, "--split", "test")
    assert done.returncode == 0, done.stderr
    baselines = results(run)["baselines"]
    assert set(baselines) == {"unigram", "kneser-ney"}
    order = baselines["kneser-ney"]["test"]["order"]
    assert f"kneser-ney of order {order} " in done.stdout
    assert baselines["kneser-ney"]["valid"]["order"] == order, "validation chose it before"


def test_generated_music_is_repeatable_and_decodes(command: Command, tune_run: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = command("seqaudio", "generate", tune_run, "--out", tmp_path / f"{name}.mid", "--seed", str(seed))
        assert done.returncode == 0, done.stderr
    notes, same, other = (read_midi(tmp_path / f"{name}.mid") for name in "abc")
    assert notes == same
    assert notes != other
    assert len(notes) > 8
    settings = dict(RunFolder(tune_run).input["settings"]["representation"])
    representation = build_representation(settings.pop("name"), settings)
    assert representation.decode(representation.encode(notes)) == representation.quantise(notes)


def test_twenty_pieces_are_read_alike_by_two_other_readers(command: Command, tune_run: Path, tmp_path: Path) -> None:
    import pretty_midi
    import symusic

    options = ("--out", tmp_path / "piece.mid", "--count", "20", "--max-events", "300")
    done = command("seqaudio", "generate", tune_run, *options)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("*.mid"))
    assert len(files) == 20
    for file in files:
        ours = read_midi(file)
        theirs = [note for part in pretty_midi.PrettyMIDI(str(file)).instruments for note in part.notes]
        others = [note for track in symusic.Score(str(file), ttype="Second").tracks for note in track.notes]
        expected = sorted(zip(ours.start.round(4).tolist(), ours.pitch.tolist(), strict=True))
        assert sorted((round(note.start, 4), note.pitch) for note in theirs) == expected
        assert sorted((round(note.time, 4), note.pitch) for note in others) == expected


def test_a_generated_file_tells_where_it_comes_from(command: Command, tune_run: Path, tmp_path: Path) -> None:
    import mido

    out = tmp_path / "x.mid"
    assert command("seqaudio", "generate", tune_run, "--out", out, "--seed", "7").returncode == 0
    texts = [message.text for message in mido.MidiFile(out).tracks[0] if message.type == "text"]
    assert re.fullmatch(r"seqaudio \S+; model [0-9a-f]{16}; .*; seed 7", texts[0])


def test_a_primer_is_the_beginning_of_the_piece(
    command: Command, tune_run: Path, tune_folder: Path, tmp_path: Path
) -> None:
    primer, out = tune_folder / "tune03.mid", tmp_path / "x.mid"
    done = command("seqaudio", "generate", tune_run, "--out", out, "--primer", primer, "--primer-events", "12")
    assert done.returncode == 0, done.stderr
    settings = dict(RunFolder(tune_run).input["settings"]["representation"])
    representation = build_representation(settings.pop("name"), settings)
    given, written = (representation.encode(read_midi(file)).tolist() for file in (primer, out))
    assert written[:12] == given[:12]
    assert len(written) > 12


@pytest.mark.parametrize(("recipe", "store"), [(KEYWORDS, "word_store"), (MUSIC, "tune_store")])
def test_a_budget_a_wrapped_cell_and_its_start_are_options(
    recipe: str, store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    module = load(recipes("train.py")[Path(recipe).name])
    options = {"cell": "projected_lstm+zoneout=0.1", "parameters": 150_000, "layers": 1, "learned_state": True}
    module.main(
        module.Config(
            store=request.getfixturevalue(store), run=tmp_path / "run", epochs=1, limit=8, device="cpu",
            initialisation="orthogonal+chrono=20", **options,
        )
    )  # fmt: skip
    run = RunFolder(tmp_path / "run")
    assert run.settings["hidden_size"] is None
    arguments = run.config["model"]["arguments"]
    assert arguments["cell"] == options["cell"]
    assert run.model().layers.output_size == arguments["hidden_size"] // 2
    assert "layers.layers.0.cell.cell.start.memory" in run.weights()
    assert results(run.path)["parameters"] == pytest.approx(150_000, rel=0.02)


def test_full_bptt_over_whole_pieces_is_an_option(command: Command, tune_store: Path, tmp_path: Path) -> None:
    done = command(
        f"{MUSIC}/train.py", "--store", tune_store, "--run", tmp_path / "run", "--epochs", "2", "--bptt", "full", *SMALL
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((f"{KEYWORDS}/train.py", "--store", "{tunes}", "--run", "{new}"), ("tokens", "features")),
        ((f"{MUSIC}/train.py", "--store", "{words}", "--run", "{new}"), ("features", "tokens")),
        ((f"{KEYWORDS}/train.py", "--store", "{none}", "--run", "{new}"), ("no such folder",)),
        ((f"{MUSIC}/train.py", "--store", "{tunes}", "--run", "{tune_run}"), ("exists", "--resume")),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--cell", "gruu"), ("did you mean gru",)),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--bptt", "truncated"), ("--bptt full",)),
        (
            (f"{MUSIC}/train.py", "--store", "{tunes}", "--run", "{new}", "--hidden-size", "8", "--parameters", "9000"),
            ("hidden_size 8", "parameters 9000", "exclude"),
        ),
        (
            (f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--initialisation", "chrono"),
            ("write chrono=LONGEST_LAG",),
        ),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{none}", "--resume"), ("no such folder",)),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--epochs", "0"), ("--epochs 0",)),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--seed", "-1"), ("--seed -1, expected 0",)),
        ((f"{KEYWORDS}/train.py", "--store", "{words}", "--run", "{new}", "--device", "toaster"), ("toaster", "auto")),
        ((f"{KEYWORDS}/evaluate.py", "--run", "{tune_run}"), ("music_generation", "keyword_recognition")),
        ((f"{KEYWORDS}/evaluate.py", "--run", "{word_run}", "--store", "{tunes}"), ("tokens", "features")),
        ((f"{MUSIC}/evaluate.py", "--run", "{none}"), ("no such folder",)),
        (("seqaudio", "info", "{new}"), ("no such file or folder",)),
        (("seqaudio", "recognize", "{tune_run}", "x.wav"), ("music_generation", "keyword_recognition")),
        (("seqaudio", "recognize", "{word_run}"), ("no recording",)),
        (("seqaudio", "recognize", "{word_run}", "{none}.wav"), ("missing",)),
        (("seqaudio", "generate", "{word_run}", "--out", "{new}.mid"), ("keyword_recognition", "music_generation")),
        (("seqaudio", "generate", "{tune_run}", "--out", "{tunes}/store.json"), ("ends in .mid",)),
        (("seqaudio", "generate", "{tune_run}", "--out", "{none}/x.mid"), ("no such folder",)),
        (("seqaudio", "generate", "{tune_run}", "--out", "{new}.mid", "--temperature", "0"), ("--temperature 0",)),
        (("seqaudio", "inof"), ("did you mean info",)),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(
    command: Command,
    word_store: Path,
    word_run: Path,
    tune_store: Path,
    tune_run: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    places = {
        "words": word_store, "word_run": word_run, "tunes": tune_store, "tune_run": tune_run,
        "new": tmp_path / "new", "none": tmp_path / "none",
    }  # fmt: skip
    before = sorted(path for path in tune_run.rglob("*"))
    done = command(*(argument.format(**places) for argument in arguments))
    assert_refused(done, *words)
    assert not list(tmp_path.iterdir()), "something was left behind"
    assert sorted(path for path in tune_run.rglob("*")) == before


def test_labels_that_the_run_does_not_know_are_listed(
    command: Command, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    for label, other in (("one", "one"), ("two", "zwei"), ("three", "drei")):
        shutil.copytree(word_folder / label, tmp_path / "in" / other)
    done = command(
        "data_prep/audio_folder.py", "--source", tmp_path / "in", "--out", tmp_path / "store", "--sample-rate", "8000"
    )
    assert done.returncode == 0, done.stderr
    done = command(f"{KEYWORDS}/evaluate.py", "--run", word_run, "--store", tmp_path / "store")
    assert_refused(done, "drei, zwei", "one, three, two")


def test_an_interrupted_recipe_goes_on_with_resume(command: Command, word_store: Path, tmp_path: Path) -> None:
    options = ("--store", word_store, "--run", tmp_path / "run", "--epochs", "3", *SMALL)
    assert command(f"{KEYWORDS}/train.py", *options).returncode == 0
    whole = (tmp_path / "run" / "model.safetensors").read_bytes()
    # as if the power had failed in the last epoch
    for file in sorted((tmp_path / "run" / "resume").iterdir())[2:]:
        file.unlink()
    (tmp_path / "run" / "results.json").unlink()
    done = command(f"{KEYWORDS}/train.py", *options, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resuming in epoch 3" in done.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_info_describes_a_store(command: Command, word_store: Path) -> None:
    done = command("seqaudio", "info", word_store)
    assert done.returncode == 0
    for words in ("store of features", "labels: 3", "72 kept", "train", "valid", "test"):
        assert words in done.stdout


def test_the_command_alone_shows_what_there_is(command: Command) -> None:
    for arguments in ((), ("--help",)):
        done = command("seqaudio", *arguments)
        assert done.returncode == 0
        for name in ("info", "recognize", "generate"):
            assert name in done.stdout
    assert command("seqaudio", "--version").stdout.strip()[0].isdigit()


def test_importing_the_package_imports_nothing_heavy(command: Command) -> None:
    import subprocess
    import sys

    code = "import sys, seqaudio, seqaudio.cli.main; print(sorted(set(sys.modules) & {'torch', 'numpy', 'pyarrow'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
