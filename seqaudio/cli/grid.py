"""Expand a grid of options of a recipe, `cell=gru,lstm` times `layers=1,2` times seeds, into runs."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from seqaudio.cli.grouped_help import parse
from seqaudio.errors import OptionError
from seqaudio.option_groups import Fields, flat_fields
from seqaudio.registry import did_you_mean

OWN = {
    "run": "--out",
    "seed": "--seeds",
    "resume": "nothing, an interrupted run is resumed",
}  # options that the sweep sets itself, and what to give instead
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class PlannedRun:
    """One point of the grid."""

    name: str  # of its folder
    words: tuple[str, ...]  # arguments of train.py
    config: Any  # the recipe's Config with these arguments


def plan(
    recipe: ModuleType, out: Path, vary: Sequence[str], seeds: Sequence[int], options: Sequence[str]
) -> list[PlannedRun]:
    """All runs of a grid, seeds innermost.

    Args:
        recipe: module of its train.py.
        vary: `NAME=VALUE,VALUE` each; values that contain commas are separated by `;`.
        options: arguments that all runs share.

    Raises OptionError for an option that the recipe does not have, an invalid value, or two runs of the same name.
    """
    fields = flat_fields(recipe.Config)
    axes = [_axis(text, fields) for text in vary]
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        raise OptionError(f"--vary names an option twice: {', '.join(names)}; give all its values in one --vary")
    _check_options(options, fields, names)
    runs = []
    for chosen, seed in itertools.product(itertools.product(*(values for _, values in axes)), seeds):
        point = list(zip(names, chosen, strict=True))
        name = "_".join(f"{option}-{_file_name(value)}" for option, value in [*point, ("seed", str(seed))])
        varied = [_word(fields[option], value) for option, value in point]
        words = (*options, *varied, f"--seed={seed}", f"--run={out / name}")
        runs.append(PlannedRun(name, words, read_options(recipe, words)))
    folders = [run.name for run in runs]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise OptionError(f"two runs would be named {twice[0]}; give each value and each seed once")
    return runs


def parse_seeds(text: str) -> list[int]:
    """`0,1,2` as numbers. Raises OptionError for anything else."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise OptionError(f"--seeds {text}: expected whole numbers from 0 on, separated by commas, such as 0,1,2")
    return [int(seed) for seed in text.split(",")]


def read_options(recipe: ModuleType, words: Sequence[str]) -> Any:
    """The recipe's Config from its arguments. Raises OptionError with tyro's message in one line."""
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            return parse(recipe.Config, words)
    except SystemExit:
        raise OptionError(f"{_message(output.getvalue())}; got {' '.join(words)}") from None


def _message(box: str) -> str:
    """The message in the box that tyro prints: the first lines of text after the title, up to a rule."""
    lines = [line.strip(" │") for line in box.splitlines()[1:]]
    is_text = re.compile(r"\w").search
    from_message = itertools.dropwhile(lambda line: not is_text(line), lines)
    return " ".join(itertools.takewhile(is_text, from_message)).rstrip(".")


def _axis(text: str, fields: Fields) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    name = _plain(name.strip().removeprefix("--"))
    if not equals or not name:
        raise OptionError(f"--vary {text}: expected NAME=VALUE,VALUE, such as cell=gru,lstm")
    if name in OWN:
        raise OptionError(f"--vary {text}: the sweep sets --{name} itself; give {OWN[name]}")
    if name == "store":
        raise OptionError(f"--vary {text}: scores on different stores cannot be compared; make a sweep for each store")
    if name not in fields:
        raise OptionError(f"--vary {text}: the recipe has no option {name}; {did_you_mean(name, list(fields))}")
    return name, values.split(";" if ";" in values else ",")


def _check_options(options: Sequence[str], fields: Fields, varied: Sequence[str]) -> None:
    given = [_plain(option.partition("=")[0][2:]) for option in options if option.startswith("--")]
    given = [name.removeprefix("no_") if name not in fields else name for name in given]
    for name in given:
        if name in OWN:
            raise OptionError(f"--{name}: the sweep sets it itself; give {OWN[name]}")
        if name in varied:
            raise OptionError(f"--{name} is given after -- and in --vary; leave out one of them")
        if name not in fields:
            known = [_option(field) for field in fields]
            raise OptionError(f"the recipe has no option {_option(name)}; {did_you_mean(_option(name), known)}")
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if no_default and name not in (*OWN, *given, *varied):
            raise OptionError(f"the recipe needs {_option(name)}; give it after --, as in -- {_option(name)} VALUE")


def _plain(name: str) -> str:
    """`noise` of `augmentation.noise` and the like."""
    return name.rpartition(".")[2].replace("-", "_")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _word(field: dataclasses.Field[Any], value: str) -> str:
    if not isinstance(field.default, bool):
        return f"{_option(field.name)}={value}"
    if value.lower() not in FLAGS:
        raise OptionError(f"--vary {field.name}={value}: expected true or false")
    return _option(field.name) if FLAGS[value.lower()] else _option(f"no_{field.name}")


def _file_name(value: str) -> str:
    return re.sub(r"[^\w.+-]", "-", value) or "none"
