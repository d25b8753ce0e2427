"""Trained models in the package: found by name wherever a run is, packed small, heard by NumPy as by torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open

from conftest import RATE, ROOT, Command, assert_refused, spoken
from seqaudio.cli import models as models_command
from seqaudio.cli.scripts import load
from seqaudio.decoding import StreamRecognizer
from seqaudio.decoding.spotting import recorded_step
from seqaudio.decoding.torch_logits import TorchLogits
from seqaudio.errors import OptionError, RunError
from seqaudio.export.packing import pack, rounded
from seqaudio.recorded_step import STEP_FILE, RecordedStep
from seqaudio.run_folder import RunFolder
from seqaudio.trained import Card, Figure, Source, card_of, finding, found, packaged, recipe_of_run
from seqaudio.trained.cards import page

sys.path.append(str(ROOT / "docs" / "pages"))

import licences

CARD = Card(
    title="three made-up words",
    about="Gliding tones.",
    recipe="",
    licence="Apache-2.0",
    commercial=True,
    output_commercial=False,
    terms="Made up by code.",
    data=(Source("tones", "CC0-1.0", "https://example.org", "72 tones"),),
    figures=(Figure("accuracy of unseen tones", 0.985, "%", ("seqaudio evaluate tones --json",), "metrics.accuracy"),),
    tags=("keywords",),
)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spotting_run: Path, tune_run: Path) -> Path:
    """A folder of packaged models of our own: `tones` and `tunes`."""
    folder = tmp_path / "models"
    monkeypatch.setattr(finding, "MODELS", folder)
    finding._told.clear()
    pack(spotting_run, "tones", CARD, folder)
    pack(tune_run, "tunes", CARD, folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def stream(seed: int = 0, words: int = 6) -> np.ndarray:
    """Made-up words with noise between them."""
    draw = np.random.default_rng(seed)
    parts = []
    for _ in range(words):
        parts.append(0.01 * draw.standard_normal(int(draw.uniform(0.3, 0.9) * RATE)))
        parts.append(spoken(int(draw.integers(3)), int(draw.integers(4)), int(draw.integers(6))))
    return np.concatenate(parts).astype(np.float32)


# --- names ---


def test_a_name_is_a_run(models: Path, here: Path) -> None:
    assert list(packaged()) == ["tones", "tunes"]
    assert RunFolder("tones").path == models / "tones"
    assert recipe_of_run("tunes") == "music_generation"
    assert found("runs/tones") == Path("runs/tones")


def test_a_run_of_the_same_name_goes_first_and_that_is_told_once(
    models: Path, here: Path, spotting_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(spotting_run, here / "tones")
    assert [RunFolder("tones").path for _ in range(3)] == [Path("tones")] * 3
    assert capsys.readouterr().err == "note: the folder tones is used, not the model tones that comes with seqaudio\n"


def test_a_folder_of_the_same_name_that_is_no_run_does_not_count(
    models: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "tones").mkdir()
    assert RunFolder("tones").path == models / "tones"
    assert "the folder tones is no run" in capsys.readouterr().err


def test_an_unknown_name_is_told_the_models_that_fit(models: Path, here: Path) -> None:
    with pytest.raises(RunError, match=r"^tone: no such folder; the models tones come with seqaudio, and .*--run tone"):
        RunFolder("tone", ("keyword_recognition",))
    with pytest.raises(RunError, match="the models tones, tunes come"):
        RunFolder("tone")
    with pytest.raises(RunError, match="no model for this comes with seqaudio"):
        recipe_of_run("tone", ("forecasting",))
    with pytest.raises(RunError, match=r"^runs/tone: no such folder; seqaudio train NAME"):
        RunFolder("runs/tone")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("recognize digit x.wav", ("digit: no such folder", "digits")),
        ("listen digit -", ("digit: no such folder", "digits")),
        ("generate chorale --out x.mid", ("chorale: no such folder", "chorales")),
        ("score chorale x.mid", ("chorale: no such folder", "chorales")),
        ("transcribe digit x.wav", ("digit: no such folder",)),
        ("export digit --c x.c", ("digit: no such folder", "chorales, ")),
        ("evaluate digit", ("digit: no such folder",)),
        ("models digit", ("no model is called 'digit'", "did you mean digits")),
    ],
)
def test_an_unknown_name_is_one_line_of_every_command(
    command: Command, here: Path, line: str, words: tuple[str, ...]
) -> None:
    soundfile.write(here / "x.wav", spoken(0, 0, 0), RATE)
    assert_refused(command("seqaudio", *line.split(), folder=here), *words)


def test_commands_take_names(command: Command, here: Path) -> None:
    for line in ("info digits", "info chorales --json", "compare digits", "export digits --c step.c"):
        done = command("seqaudio", *line.split(), folder=here)
        assert done.returncode == 0, done.stderr
    done = command("seqaudio", "generate", "chorales", "--bars", "2", "--out", "x.mid", folder=here)
    assert done.returncode == 0, done.stderr
    assert (here / "x.mid").is_file()
    done = command("seqaudio", "score", "chorales", "x.mid", "--quiet", folder=here)
    assert done.returncode == 0, done.stderr


def test_an_evaluation_writes_into_a_copy(command: Command, here: Path, word_store: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in packaged()["digits"].rglob("*")}
    done = command("seqaudio", "evaluate", "digits", "--store", word_store, folder=here)
    assert "results and figures go into evaluated/digits" in done.stderr
    assert (here / "evaluated" / "digits" / "config.json").is_file()
    assert {file: file.stat().st_mtime_ns for file in packaged()["digits"].rglob("*")} == before


def test_an_evaluation_of_a_packaged_model_needs_a_store(command: Command, here: Path) -> None:
    assert_refused(command("seqaudio", "evaluate", "digits", folder=here), "digits", "give a store by --store")
    assert list(here.iterdir()) == []


def test_nothing_is_copied_for_an_evaluation_that_cannot_begin(command: Command, here: Path, word_store: Path) -> None:
    assert_refused(command("seqaudio", "evaluate", "digits", "--store", "none", folder=here), "none: no such folder")
    assert (
        command("seqaudio", "evaluate", "digits", "--store", word_store, "--split", "tset", folder=here).returncode == 2
    )
    assert list(here.iterdir()) == []
    (here / "evaluated" / "digits").mkdir(parents=True)
    done = command("seqaudio", "evaluate", "digits", "--store", word_store, folder=here)
    assert_refused(done, "evaluated/digits holds another model than digits")


# --- the list ---


def test_models_are_listed_with_what_may_be_done_with_them(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_command.main(models_command.Config())
    tones = " ".join(capsys.readouterr().out.splitlines()[:3])
    for word in ("tones", "three made-up words", "Apache-2.0", "model only", "98.5 % accuracy of unseen tones", " kB"):
        assert word in tones
    models_command.main(models_command.Config(json=True))
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [one["name"] for one in listed] == ["tones", "tunes"]
    assert listed[0]["bytes"] == sum(file.stat().st_size for file in (models / "tones").iterdir())


def test_a_card_tells_data_licence_figures_and_labels(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_command.main(models_command.Config("tones"))
    text = capsys.readouterr().out
    assert text.startswith("---\nlicense: apache-2.0\n")
    for word in ("Commercial use of the model: yes; of its output: no", "one, three, two", "CC0-1.0", "evaluate tones"):
        assert word in text
    assert text.strip() == page(card_of(models / "tones") or CARD, "tones").strip()


def test_every_packaged_model_has_a_card_and_is_small() -> None:
    assert {"digits", "chorales"} <= set(packaged())
    for name, folder in packaged().items():
        card = card_of(folder)
        assert card is not None and card.data and card.licence, name
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
        assert (folder / "README.md").read_text(encoding="utf-8") == page(card, name)
        for file in (*folder.glob("*.json"), folder / "README.md"):
            text = file.read_text(encoding="utf-8").replace('\\"', "").replace('"$SEQAUDIO_DATA"', "$SEQAUDIO_DATA")
            assert not re.search(r"(?:^|[\s\"'=:,])/[\w.-]+/", text), f"an absolute path in {file}"


def test_the_licences_are_those_of_the_cards() -> None:
    text = licences.PAGE.read_text(encoding="utf-8")
    assert text == licences.licences(licences.known()), "run python docs/pages/licences.py"
    assert set(packaged()) <= set(licences.known())


def test_every_figure_has_the_commands_that_repeat_it() -> None:
    for name, folder in packaged().items():
        for figure in (card_of(folder) or CARD).figures:
            assert figure.commands and figure.key and 0 <= figure.tolerance <= max(abs(figure.value), 1), name
            assert figure.unit != "%" or 0 <= figure.value <= 1, name


FIGURES = [
    pytest.param(figure, id=f"{name}-{number}")
    for name, folder in packaged().items()
    for number, figure in enumerate((card_of(folder) or CARD).figures)
]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("figure", FIGURES)
def test_the_figures_of_the_cards_are_those_of_their_commands(
    figure: Figure, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQAUDIO_DATA", str(data_folder))
    found = load(ROOT / "recipes" / "trained_models" / "pack.py").measured(figure)
    assert found == pytest.approx(figure.value, abs=max(figure.tolerance, 1e-9)), figure.what


# --- packing ---


def test_a_packed_model_gives_what_the_rounded_weights_give(models: Path, spotting_run: Path) -> None:
    kept, packed = RunFolder(spotting_run).model(), RunFolder("tones")
    halves = {name: value.float() for name, value in rounded(kept).items()}
    read = packed.model().state_dict()
    assert set(halves) == set(read)
    assert all(torch.equal(halves[name], read[name]) for name in read)
    with safe_open(str(models / "tones" / "model.safetensors"), framework="pt") as file:
        assert file.get_tensor("output.weight").dtype == torch.float16
        assert file.get_tensor("floor").dtype == torch.float32  # a statistic


def test_a_packed_model_needs_no_store(models: Path) -> None:
    settings = json.loads((models / "tunes" / "config.json").read_text(encoding="utf-8"))["settings"]
    assert "store" not in settings
    with pytest.raises(RunError, match="comes without the store of its training; give one"):
        RunFolder("tunes").training_store("; give one")


def test_a_model_that_is_packed_again_is_replaced_and_nothing_else_is(models: Path, tune_run: Path) -> None:
    pack(tune_run, "tunes", replace(CARD, title="again"), models)
    again = card_of(models / "tunes")
    assert again is not None and again.title == "again"
    (models / "tunes" / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="is not a packed model"):
        pack(tune_run, "tunes", CARD, models)
    with pytest.raises(OptionError, match="expected small letters"):
        pack(tune_run, "../tunes", CARD, models)
    assert sorted(file.name for file in models.iterdir()) == ["tones", "tunes"]


def test_a_weight_beyond_half_precision_is_refused(spotting_run: Path) -> None:
    model = RunFolder(spotting_run).model()
    with torch.no_grad():
        model.output.weight[0, 0] = 1e6
    with pytest.raises(RunError, match="too large for half precision"):
        rounded(model)


# --- NumPy in place of torch ---


def test_numpy_hears_what_torch_hears(models: Path) -> None:
    run = RunFolder("tones")
    step = recorded_step(run)
    assert step is not None
    samples = stream()
    mine, theirs = step.stream().push(samples), TorchLogits.of(run).push(samples)
    assert len(mine) == len(theirs) > 100
    assert np.abs(mine - theirs).max() < 1e-4 * max(1.0, np.abs(theirs).max())


def test_the_packaged_digits_are_heard_by_numpy_as_by_torch(tmp_path: Path) -> None:
    folder = tmp_path / "by_torch"
    shutil.copytree(packaged()["digits"], folder)
    (folder / STEP_FILE).unlink()
    by_numpy, by_torch = StreamRecognizer(RunFolder("digits")), StreamRecognizer(RunFolder(folder))
    rate = by_numpy.spotter.settings.sample_rate
    for seed in range(4):
        draw = np.random.default_rng(seed)
        samples = (0.1 * np.cumsum(draw.standard_normal(rate)) / 30).astype(np.float32)
        samples *= np.sin(np.linspace(0, 20, rate), dtype=np.float32)
        samples = np.tile(samples, 1 + 2 * seed)
        one, other = by_numpy.recognize_samples([samples]), by_torch.recognize_samples([samples])
        assert (one.label, len(one.hits)) == (other.label, len(other.hits))
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
        assert by_numpy.spotter.highest == pytest.approx(by_torch.spotter.highest, abs=1e-4)


@pytest.mark.parametrize("size", [1, 77, 160, 161, 4000])
def test_blocks_of_any_length_give_the_same_logits(models: Path, size: int) -> None:
    step = RecordedStep.read(models / "tones" / STEP_FILE)
    samples = stream(1, 2)
    whole, parts = step.stream().push(samples), step.stream()
    pieces = [parts.push(samples[start : start + size]) for start in range(0, len(samples), size)]
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-5)


def test_streams_of_one_step_know_nothing_of_each_other(models: Path) -> None:
    step, samples = RecordedStep.read(models / "tones" / STEP_FILE), stream(2, 2)
    one = step.stream()
    alone = one.push(samples)
    other = one.another()
    other.push(samples[:1000])
    one.reset()
    assert (one.push(samples) == alone).all()


def test_a_step_of_other_weights_is_not_used(models: Path) -> None:
    weights = models / "tones" / "model.safetensors"
    shutil.copy(models / "tunes" / "model.safetensors", weights)
    assert recorded_step(RunFolder("tones")) is None


def test_a_damaged_step_is_one_line(models: Path) -> None:
    file = models / "tones" / STEP_FILE
    whole = file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + length].decode()

    def changed(old: str, new: str) -> bytes:
        assert old in header
        text = header.replace(old, new, 1).encode()
        return len(text).to_bytes(8, "little") + text + whole[8 + length :]

    quoted: Callable[[str], str] = lambda text: text.replace('"', '\\"')  # noqa: E731  # JSON within JSON
    damages = [
        whole[:100],
        whole[: len(whole) // 2],
        b"",
        changed(quoted('"kind": "matmul"'), quoted('"kind": "exec"')),
        changed(quoted('"function": "mul"'), quoted('"function": "pow"')),
        changed(quoted('"inputs": [0]'), quoted('"inputs": [999]')) if quoted('"inputs": [0]') in header else b"x",
        changed(quoted('"hop": '), quoted('"hop": 7')),
        changed(quoted('"warm_up": '), quoted('"warm_up": -')),
        changed(quoted('"output": '), quoted('"output": 9999')),
        changed(quoted('"nodes": ['), quoted('"nodes": [3, ')),
    ]
    for damage in damages:
        file.write_bytes(damage)
        with pytest.raises(RunError, match="step") as refusal:
            RecordedStep.read(file)
        assert "\n" not in str(refusal.value)


def test_a_bare_start_hears_a_word_without_torch(here: Path) -> None:
    soundfile.write(here / "x.wav", spoken(0, 0, 0), RATE)
    (here / "x.pcm").write_bytes(bytes(2 * 16_000))
    code = """
import os, sys
from seqaudio.cli.main import dispatch
for arguments in (["recognize", "digits", "x.wav"], ["listen", "digits", "-", "--rate", "16000"], ["models"]):
    sys.stdin = open("x.pcm")
    os.dup2(sys.stdin.fileno(), 0)
    try:
        dispatch(arguments)
    except SystemExit as end:
        assert not end.code, arguments
    heavy = {"torch", "numba", "matplotlib"} & set(sys.modules)
    assert not heavy, (arguments, heavy)
import seqaudio
assert seqaudio.load("digits").recognize("x.wav").label
assert "torch" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("x.wav\t")


def test_music_begins_without_what_compiles_torch(here: Path) -> None:
    code = "import sys, seqaudio; seqaudio.load('chorales').generate(bars=1); assert 'torch._dynamo' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
