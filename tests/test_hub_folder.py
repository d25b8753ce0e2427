"""A folder for model hubs: it loads as a run, equal to the bit, names no place, and hubs understand its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import Command, assert_refused
from seqaudio.errors import OptionError
from seqaudio.export.packing import card_of_run, pack_for_hub
from seqaudio.run_folder import RunFolder
from seqaudio.trained import Card, Figure, Source

FILES = {"README.md", "card.json", "config.json", "metrics.jsonl", "model.safetensors", "results.json"}


@pytest.fixture(params=["word_run", "tune_run"])
def run(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_the_folder_is_a_run_with_the_weights_of_the_run(run: Path, tmp_path: Path) -> None:
    folder = pack_for_hub(run, tmp_path / "model")
    assert {file.name for file in folder.iterdir()} == FILES
    ours, theirs = load_file(folder / "model.safetensors"), load_file(run / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    again, before = RunFolder(folder), RunFolder(run)
    assert (again.vocabulary.names, again.input) == (before.vocabulary.names, before.input)
    model, expected = again.model(), before.model()
    words = before.recipe == "keyword_recognition"
    inputs = (torch.randn(6, 1, 13), torch.tensor([6])) if words else (torch.ones(6, 1, dtype=torch.long),)
    with torch.no_grad():
        assert torch.equal(model(*inputs)[0], expected(*inputs)[0])


def test_nothing_in_the_folder_names_a_place(run: Path, tmp_path: Path) -> None:
    folder = pack_for_hub(run, tmp_path / "model")
    for file in folder.iterdir():
        content = file.read_bytes()
        for place in (run.parent, tmp_path, Path.home(), Path.cwd()):
            assert str(place).encode() not in content or str(place) == "/", file


def test_a_hub_understands_the_card(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = Card(
        title="words: 'three' of \"them\"", about="Tones.", recipe="", licence="CC0-1.0", commercial=True,
        output_commercial=True, terms="Made up.", data=(Source("tones: a \"set\"", "CC0-1.0", "https://example.org"),),
        figures=(Figure("accuracy of unseen tones: all", 0.985, "%", key="test.accuracy"),), tags=("keywords",),
        language=("en",),
    )  # fmt: skip
    folder = pack_for_hub(run, tmp_path / "model", card)
    data = hub.ModelCard.load(folder / "README.md").data
    assert (data.license, data.library_name, data.language) == ("cc0-1.0", "seqaudio", ["en"])
    assert data.tags == ["seqaudio", "keywords"]
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name) == ("accuracy", 0.985, "tones: a 'set'")
    assert result.metric_name == "accuracy of unseen tones: all"
    words = RunFolder(run).recipe == "keyword_recognition"
    assert data.pipeline_tag == ("audio-classification" if words else "other")


def test_a_run_tells_its_own_figures(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folder = pack_for_hub(run, tmp_path / "model")
    results = json.loads((run / "results.json").read_text())
    split = "test" if results.get("test") else "valid"
    found = {one.metric_type: one.metric_value for one in hub.ModelCard.load(folder / "README.md").data.eval_results}
    assert found == {name: pytest.approx(value, rel=1e-5) for name, value in results[split].items() if name != "count"}
    assert "not stated" in (folder / "README.md").read_text()


def test_a_clone_is_written_into_and_other_files_stay(word_run: Path, tmp_path: Path) -> None:
    folder = pack_for_hub(word_run, tmp_path / "model")
    (folder / ".git").mkdir()
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (folder / "spotting.json").write_text("{}")  # of another model before
    with pytest.raises(OptionError, match="exists; give --force"):
        pack_for_hub(word_run, folder)
    pack_for_hub(word_run, folder, force=True)
    assert {file.name for file in folder.iterdir()} == {*FILES, ".git", ".gitattributes"}
    (folder / "mine.txt").write_text("x")
    with pytest.raises(OptionError, match="exists and is not a packed model"):
        pack_for_hub(word_run, folder, force=True)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_command_writes_the_folder_and_says_what_the_card_lacks(
    command: Command, word_run: Path, tmp_path: Path
) -> None:
    done = command("seqaudio", "export", word_run, "--hub", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "licence not stated: give --licence; README.md is its card" in done.stdout
    done = command("seqaudio", "export", word_run, "--hub", tmp_path / "model", "--licence", "CC-BY-4.0", "--force")
    assert (done.returncode, "licence CC-BY-4.0;" in done.stdout) == (0, True)
    assert "license: cc-by-4.0" in (tmp_path / "model" / "README.md").read_text()
    done = command("seqaudio", "info", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    for options, words in (
        (("--hub", tmp_path / "model"), "exists; give --force"),
        (("--hub", tmp_path / "no" / "model"), "is no folder; make it first"),
        (("--hub", tmp_path / "new", "--licence", "my own: see"), "expected an SPDX identifier"),
        (("--licence", "CC0-1.0"), "nothing to write; give --out"),
        (
            ("--c", tmp_path / "x.c", "--licence", "CC0-1.0"),
            "expected an SPDX identifier such as CC-BY-4.0, with --hub",
        ),
    ):
        assert_refused(command("seqaudio", "export", word_run, *options), words)


def test_the_card_of_a_run_has_its_recipe(word_run: Path) -> None:
    card = card_of_run(RunFolder(word_run), "CC0-1.0")
    assert (card.recipe, card.licence, card.use) == ("keyword_recognition", "CC0-1.0", "not stated")
    assert card.figures
