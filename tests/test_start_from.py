"""Beginning with the weights of another run, and repeating a run's options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from made_up import RandomTokens, frame_store, items, token_store
from seqaudio.bptt import initialise_from
from seqaudio.cli.options import run as run_command
from seqaudio.cli.repeat import with_options_of_run
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.files import sha256_of
from seqaudio.models import Model, build_model
from seqaudio.prepare.engine import build_store
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store, StoreDescription
from seqaudio.vocabulary import SPECIAL_TOKENS, Vocabulary

torch.set_num_threads(1)

ARGUMENTS = {"vocabulary_size": 10, "embedding_size": 4, "hidden_size": 5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def parent(store: Store, tmp_path: Path) -> RunFolder:
    torch.manual_seed(1)
    run = RunFolder.create(
        tmp_path / "parent",
        recipe="music_generation",
        settings={},
        model={"name": "events", "arguments": ARGUMENTS},
        store=store,
        resume=False,
    )
    run.save_weights(build_model("events", ARGUMENTS))
    return run


def child(**arguments: Any) -> Model:
    torch.manual_seed(2)
    return build_model("events", ARGUMENTS | arguments)


def test_all_weights_of_an_equal_model_are_taken_over(
    parent: RunFolder, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    model = child()
    told = initialise_from(parent.path, model, store, "music_generation")
    assert told == {"run": "parent", "sha256": sha256_of(parent.path / "model.safetensors")}
    weights = parent.weights()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert capsys.readouterr().err.strip().endswith("; all weights fit")


def test_the_parent_is_in_the_configuration_and_a_resumed_run_keeps_it(
    parent: RunFolder, store: Store, tmp_path: Path
) -> None:
    told = initialise_from(parent.path, child(), store, "music_generation")
    arguments: dict[str, Any] = {
        "recipe": "music_generation", "settings": {}, "model": {"name": "events", "arguments": ARGUMENTS},
        "store": store,
    }  # fmt: skip
    run = RunFolder.create(tmp_path / "run", **arguments, resume=False, parent=told)
    assert run.config["parent"] == told
    RunFolder.create(tmp_path / "run", **arguments, resume=True, parent=told)
    with pytest.raises(RunError, match=r"made with parent .*now it is null"):
        RunFolder.create(tmp_path / "run", **arguments, resume=True)


def test_layers_that_do_not_fit_are_new_and_named_in_one_line(
    parent: RunFolder, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    model, untouched = child(hidden_size=7), child(hidden_size=7)
    initialise_from(parent.path, model, store, "music_generation")
    (line,) = capsys.readouterr().err.splitlines()
    assert "newly initialised: layers.layers.0" in line
    assert "output.weight" in line
    assert "embedding" not in line
    assert torch.equal(model.embedding.weight, parent.weights()["embedding.weight"])
    assert torch.equal(model.output.weight, untouched.output.weight)


def test_rows_follow_their_names_into_another_vocabulary(
    parent: RunFolder, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many names as before, two of them others, and in another order: shapes alone would not tell."""
    names = (*SPECIAL_TOKENS, *"gfedcxy")
    description = StoreDescription("tokens", dict(store.settings), vocabulary=names)
    other = build_store(tmp_path / "other", items(tmp_path, 20), RandomTokens(), description)
    model, untouched = child(), child()
    initialise_from(parent.path, model, other, "music_generation")
    weights = parent.weights()
    for part in ("embedding.weight", "output.weight", "output.bias"):
        for row, name in enumerate(names):
            expected = (
                weights[part][store.names.index(name)] if name in store.names else untouched.state_dict()[part][row]
            )
            assert torch.equal(model.state_dict()[part][row], expected)
    line = "newly initialised: the rows of 2 names in embedding.weight, output.weight, output.bias"
    assert line in capsys.readouterr().err


def test_statistics_of_the_features_come_with_the_weights(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    arguments = {"input_size": 4, "classes": 2, "hidden_size": 3, "layers": 1}
    model = build_model("keyword", arguments)
    model.set_normalisation(torch.full((4,), 5.0), torch.full((4,), 2.0))  # type: ignore[operator]
    run = RunFolder.create(
        tmp_path / "run", recipe="keyword_recognition", settings={}, store=store, resume=False,
        model={"name": "keyword", "arguments": arguments},
    )  # fmt: skip
    run.save_weights(model)
    fresh = build_model("keyword", arguments)
    initialise_from(run.path, fresh, store, "keyword_recognition")
    assert fresh.state_dict()["mean"].tolist() == [5.0] * 4


def test_rows_follow_the_labels_of_the_model_where_the_store_has_others(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    labels = Vocabulary.from_labels({*store.names, "silence", "unknown"})
    arguments = {"input_size": 4, "classes": len(labels), "hidden_size": 3, "layers": 1}
    model = build_model("keyword", arguments)
    run = RunFolder.create(
        tmp_path / "run", recipe="keyword_recognition", settings={}, store=store, resume=False, labels=labels,
        model={"name": "keyword", "arguments": arguments},
    )  # fmt: skip
    run.save_weights(model)
    fresh = build_model("keyword", arguments)
    initialise_from(run.path, fresh, store, "keyword_recognition", labels)
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_what_cannot_be_started_from_is_refused(parent: RunFolder, store: Store, tmp_path: Path) -> None:
    assert initialise_from(None, child(), store, "music_generation") is None
    with pytest.raises(RunError, match=r"'music_generation', this training needs one of 'keyword_recognition'"):
        initialise_from(parent.path, child(), store, "keyword_recognition")
    with pytest.raises(RunError, match="prepare it with the same settings"):
        initialise_from(parent.path, child(), frame_store(tmp_path), "music_generation")
    with pytest.raises(RunError, match="none of its weights fit"):
        initialise_from(parent.path, child(embedding_size=9, hidden_size=8, cell="elman"), store, "music_generation")
    (parent.path / "model.safetensors").unlink()
    with pytest.raises(RunError, match="no trained model yet"):
        initialise_from(parent.path, child(), store, "music_generation")


def trained(store: Store, run: Path, *options: str) -> dict[str, Any]:
    """Train in this process as the command line would; the settings of the run."""
    recipe = load(recipes("train.py")["music_generation"])
    with pytest.raises(SystemExit) as ended:
        run_command(recipe.Config, recipe.main, arguments=["--run", str(run), *options])
    assert ended.value.code == 0
    settings: dict[str, Any] = RunFolder(run).settings
    return settings


def test_a_run_is_repeated_by_its_configuration(store: Store, tmp_path: Path) -> None:
    options = ("--hidden-size", "6", "--epochs", "1", "--batch-size", "4", "--advance", "8", "--reach", "16",
               "--learning-rate", "1e-2", "--learned-state", "--device", "cpu")  # fmt: skip
    first = trained(store, tmp_path / "first", "--store", str(store.path), *options)
    config = f"--config={tmp_path / 'first' / 'config.json'}"
    second = trained(store, tmp_path / "second", config, "--device", "cpu")
    assert second == first
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
    third = trained(store, tmp_path / "third", config, "--no-learned-state", "--reach", "24", "--epochs=2")
    assert third == first | {"learned_state": False, "reach": 24, "epochs": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not the config.json of a run"),
        ('{"settings": 3}', "not the config.json of a run"),
        (json.dumps({"settings": {"epochs": 1, "mean_prior": 10}}), "a run of another recipe, .*mean_prior"),
    ],
)
def test_a_file_that_is_no_runs_configuration_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "config.json").write_text(content)
    config = load(recipes("train.py")["music_generation"]).Config
    with pytest.raises(RunError, match=words):
        with_options_of_run(config, ["--config", str(tmp_path / "config.json")])
    with pytest.raises(OptionError, match="names no file"):
        with_options_of_run(config, ["--config"])
    assert with_options_of_run(config, ["--epochs", "2"]) == ["--epochs", "2"]
