"""Options in groups: what a help text begins with, both names of a nested option, the plain names that a run keeps."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from made_up import token_store
from seqaudio.cli.completion import options
from seqaudio.cli.grid import plan
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.repeat import with_options_of_run
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import command_of
from seqaudio.option_groups import flat_fields, flat_values, groups_of, is_nested
from seqaudio.run_folder import RunFolder, other_settings, run_settings

RECIPES = list(recipes("train.py"))
NEEDED = {"memory_tasks": ["--run=run"]}  # by the others a store too
GROUPS = ["", "data", "model", "streams", "text", "training", "BPTT", "run"]


@pytest.fixture(scope="module")
def keywords() -> ModuleType:
    return load(recipes("train.py")["keyword_recognition"])


def needed(recipe: str) -> list[str]:
    return NEEDED.get(recipe, ["--run=run", "--store=store"])


def help_of(recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The lines of each box of a help text by the box's title, without what draws the box."""
    monkeypatch.setenv("COLUMNS", "100")  # beyond that boxes stand side by side
    with pytest.raises(SystemExit) as ended:
        parse(load(recipes("train.py")[recipe]).Config, ["--help"])
    assert ended.value.code == 0
    boxes: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        text = line.strip("╭─╮│╰╯ ")
        if re.fullmatch(r"(\w+ )?options", text):
            boxes[text] = []
        elif boxes:
            boxes[list(boxes)[-1]].append(text)
    return boxes


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_stands_in_one_group(recipe: str) -> None:
    config = load(recipes("train.py")[recipe]).Config
    groups = groups_of(config)
    listed = [name for group in groups for name in group.options]
    nested = [name for held in fields(config) if is_nested(held) for name in flat_fields(held.default_factory)]
    assert sorted([*listed, *nested]) == sorted(flat_fields(config))
    assert [group.name for group in groups] == [name for name in GROUPS if name in {group.name for group in groups}]
    assert all(group.description for group in groups[1:])


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_begins_with_what_a_first_run_needs(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = help_of(recipe, capsys, monkeypatch)
    assert next(iter(boxes)) == "options"
    assert {"model options", "training options", "BPTT options", "run options"} < set(boxes)
    first = [line.split()[0] for line in boxes["options"] if re.match(r"--\w", line)]
    assert 5 <= len(first) <= 8
    assert {word.split("=")[0] for word in needed(recipe)} <= set(first)
    training = boxes["training options"]
    assert any("schedules.py" in line for line in training), "comments are the help"
    assert any(line.startswith("--schedule ") for line in training), "groups are no part of a name"


def test_augmentation_is_a_group_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = help_of("keyword_recognition", capsys, monkeypatch)
    within = [title for title, lines in boxes.items() if any(line.startswith("--noise FLOAT") for line in lines)]
    assert within == ["augmentation options"]
    assert any("deviation of noise" in line for line in boxes["augmentation options"])


def test_a_nested_option_has_two_names(keywords: ModuleType) -> None:
    plain = parse(keywords.Config, [*needed(""), "--noise", "0.2", "--no-augment", "--room-folder=x", "--time-masks=1"])
    full = parse(
        keywords.Config,
        [*needed(""), "--augmentation.noise=0.2", "--augmentation.no-augment", "--augmentation.room-folder", "x",
         "--augmentation.time-masks", "1"],
    )  # fmt: skip
    assert plain == full
    assert (full.augmentation.noise, full.augmentation.augment, full.augmentation.time_masks) == (0.2, False, 1)
    assert full.augmentation.room_folder == Path("x")
    assert parse(keywords.Config, needed("")).augmentation.noise == 0.4


def test_an_unknown_option_is_refused_as_before(keywords: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(keywords.Config, [*needed(""), "--augmentation.nois=3"])
    assert ended.value.code == 2
    assert "--noise" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_command_of_a_training_gives_its_options_again(recipe: str) -> None:
    config = load(recipes("train.py")[recipe]).Config
    given = [*needed(recipe), "--seed=7", "--cell=elman", "--bptt=truncated", "--no-carry", "--learning-rate=0.125"]
    if recipe == "keyword_recognition":
        given += ["--noise=0.2", "--no-augment", "--speech-folder", "a b", "c", "--negatives=d"]
    made = parse(config, given)
    python, script, *words = shlex.split(command_of(recipe, made))
    assert (python, script) == ("python", f"recipes/{recipe}/train.py")
    assert parse(config, words) == made
    assert len(words) <= 2 * len(given), "defaults need no saying"


# --- what a run keeps ---


def test_settings_are_flat_and_have_the_plain_names(keywords: ModuleType) -> None:
    settings = run_settings(parse(keywords.Config, [*needed(""), "--noise=0.2", "--noise-folder=x"]))
    assert (settings["noise"], settings["noise_folder"], settings["gain"]) == (0.2, "x", 12.0)
    assert "augmentation" not in settings
    assert json.loads(json.dumps(settings)) == settings
    assert {"run", "resume", "device"}.isdisjoint(settings)


def test_what_follows_from_other_options_is_no_option() -> None:
    memory = load(recipes("train.py")["memory_tasks"])
    config = memory.Config(run=Path("run"), steps=30, check_every=10)
    assert config.epochs == 3
    assert "epochs" not in flat_values(config)
    with pytest.raises(OptionError, match="--steps 0 "):
        memory.Config(run=Path("run"), steps=0, check_every=10)


def test_two_options_of_one_plain_name_are_refused() -> None:
    @dataclass(frozen=True)
    class Part:
        noise: float = 0.0

    @dataclass(frozen=True)
    class Config:
        noise: float = 0.0
        part: Part = field(default_factory=Part)

    with pytest.raises(ValueError, match="two options called noise"):
        flat_fields(Config)


@pytest.fixture
def old_run(tmp_path: Path) -> tuple[Any, Path]:
    """A run made before there were groups, and before one of its options: what it was made with, and its folder."""
    music = load(recipes("train.py")["music_generation"])
    store = token_store(tmp_path)
    config = music.Config(store=store.path, run=tmp_path / "run", epochs=1, hidden_size=6, device="cpu")
    settings = run_settings(config)
    del settings["average"]
    RunFolder.create(
        config.run, recipe="music_generation", settings=settings, model=config.description(len(store.names)),
        store=store, resume=False,
    )  # fmt: skip
    return config, config.run


def test_an_option_that_a_run_lacks_counts_as_its_default(old_run: tuple[Any, Path]) -> None:
    config, run = old_run
    kind = type(config)
    assert other_settings(RunFolder(run), config) == {}
    moved = {name: value for name, value in vars(config).items() if name != "store"}
    assert other_settings(RunFolder(run), kind(**moved, store=Path("elsewhere"))) == {}
    changed = kind(**vars(config) | {"average": 0.9, "epochs": 3})
    assert other_settings(RunFolder(run), changed) == {"average": (0.0, 0.9), "epochs": (1, 3)}


def test_a_run_that_lacks_an_option_is_resumed_with_its_default_only(old_run: tuple[Any, Path]) -> None:
    config, run = old_run
    music = load(recipes("train.py")["music_generation"])
    with pytest.raises(RunError, match=r"average = 0.0, now it is 0.9"):
        music.main(music.Config(**vars(config) | {"average": 0.9, "resume": True}))
    music.main(music.Config(**vars(config) | {"resume": True}))
    assert (run / "results.json").is_file()


def test_a_run_made_before_there_were_groups_is_repeated(keywords: ModuleType, tmp_path: Path) -> None:
    settings = {"store": "store", "noise": 0.2, "augment": False, "gain": 3.0, "room_folder": None, "epochs": 5}
    (tmp_path / "config.json").write_text(json.dumps({"settings": settings}))
    words = with_options_of_run(keywords.Config, [f"--config={tmp_path / 'config.json'}", "--run=run", "--gain=4"])
    config = parse(keywords.Config, words)
    assert (config.augmentation.noise, config.augmentation.augment, config.augmentation.gain) == (0.2, False, 4.0)
    assert config.epochs == 5


def test_options_with_several_values_are_repeated(keywords: ModuleType, tmp_path: Path) -> None:
    made = parse(keywords.Config, [*needed(""), "--speech-folder", "a b", "c"])
    assert made.speech_folder == (Path("a b"), Path("c"))
    (tmp_path / "config.json").write_text(json.dumps({"settings": run_settings(made)}))
    words = with_options_of_run(keywords.Config, [f"--config={tmp_path / 'config.json'}", "--run=run"])
    assert (parse(keywords.Config, words).speech_folder, parse(keywords.Config, words).negatives) == (
        made.speech_folder,
        (),
    )


# --- grids and completion ---


def test_a_grid_varies_a_nested_option_by_either_name(keywords: ModuleType) -> None:
    for name in ("noise", "augmentation.noise", "--augmentation.noise"):
        runs = plan(keywords, Path("out"), [f"{name}=0.1,0.3", "augment=true,false"], [1], ["--store=store"])
        assert [run.config.augmentation.noise for run in runs] == [0.1, 0.1, 0.3, 0.3]
        assert [run.config.augmentation.augment for run in runs] == [True, False, True, False]
        assert runs[0].name == "noise-0.1_augment-true_seed-1"
    (run,) = plan(keywords, Path("out"), [], [1], ["--store=store", "--augmentation.noise", "0.7"])
    assert run.config.augmentation.noise == 0.7
    with pytest.raises(OptionError, match=r"--noise is given .*leave out one of them"):
        plan(keywords, Path("out"), ["noise=0.1"], [1], ["--store=store", "--augmentation.noise=0.7"])


def test_completion_offers_nested_options(keywords: ModuleType) -> None:
    assert {"--noise", "--no-augment", "--schedule"} <= set(options(keywords))


@pytest.mark.parametrize(
    "path", [*recipes("train.py").values(), *recipes("evaluate.py").values(), *recipes("study.py").values()], ids=str
)
def test_a_recipe_is_read_from_top_to_bottom(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
