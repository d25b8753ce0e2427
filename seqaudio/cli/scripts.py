"""Run the scripts of `data_prep/` and `recipes/` by name: `prepare NAME`, `train NAME`, `evaluate RUN`."""

from __future__ import annotations

import ast
import filecmp
import importlib.util
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from seqaudio.errors import OptionError, RunError, SeqAudioError
from seqaudio.own_scripts import preparations as preparations  # for those who import it from here
from seqaudio.own_scripts import recipes as recipes
from seqaudio.progress import say
from seqaudio.registry import did_you_mean
from seqaudio.trained import found, is_packaged, recipe_of_run

COPIES = Path("evaluated")  # folder for copies of packaged models, which an evaluation writes into


def run_script(command: str, arguments: Sequence[str]) -> None:
    """Run `seqaudio prepare|train|evaluate ARGUMENTS` and exit; without arguments list the scripts."""
    from seqaudio.cli.options import run

    if command == "evaluate":
        scripts = recipes("evaluate.py")
        if not arguments or arguments[0] in ("-h", "--help"):
            print("usage: seqaudio evaluate RUN [--split test] [--store STORE]\n\nBy the recipe of the run:")
            print(_listing(scripts), end="")
            sys.exit(0)
        # the run may be the first argument; the script itself has --run only
        given = ["--run", *arguments] if not arguments[0].startswith("-") else list(arguments)
        name = recipe_of(given)
        if name not in scripts:
            raise OptionError(
                f"the run was made by a recipe {name!r} that does not come with seqaudio; evaluate it with a script of "
                f"your own, or look at it with seqaudio info; known: {', '.join(scripts)}"
            )
        module = load(scripts[name])
        own_main: Callable[[Any], None] = module.main
        run(
            module.Config,
            lambda config: own_main(_with_copy(config)),
            as_commands(module.__doc__),
            given,
            program="seqaudio evaluate",
        )
    scripts = preparations() if command == "prepare" else recipes("train.py")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: seqaudio {command} NAME [OPTIONS]    (options: seqaudio {command} NAME --help)\n")
        print(_listing(scripts), end="")
        sys.exit(0)
    name, *rest = arguments
    what = "preparation" if command == "prepare" else "recipe"
    module = load(scripts[_known(name, scripts, what)])
    run(module.Config, module.main, as_commands(module.__doc__), rest, program=f"seqaudio {command} {name}")


def _with_copy(config: Any) -> Any:
    """The options with a copy of a packaged model in its place, since an evaluation writes into a run.

    Raises RunError where there is no store, StoreError for a damaged one, before anything is written.
    """
    folder = found(config.run)
    if not is_packaged(folder):
        return config
    if config.store is None:
        raise RunError(f"the model {folder.name} comes without the store of its training; give a store by --store")
    from seqaudio.store import Store

    Store(config.store)
    copy = COPIES / folder.name
    if not copy.exists():
        COPIES.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix=f"{folder.name}.partial-", dir=COPIES) as partial:
            shutil.copytree(folder, Path(partial) / folder.name).rename(copy)
    elif not _is_copy(copy, folder):
        raise RunError(f"{copy} holds another model than {folder.name} of this seqaudio; rename it, or evaluate {copy}")
    say(f"results and figures go into {copy}, a copy of the model {folder.name}")
    return replace(config, run=copy)


def _is_copy(copy: Path, folder: Path) -> bool:
    """Whether both have the same weights."""
    weights = "model.safetensors"
    return (copy / weights).is_file() and filecmp.cmp(copy / weights, folder / weights, shallow=False)


def as_commands(text: str | None) -> str:
    """The docstring of a script with `seqaudio` commands in place of its path, which an installation does not show."""
    text = re.sub(r"data_prep/(\w+)\.py\b", r"seqaudio prepare \1", text or "")
    text = re.sub(r"recipes/(\w+)/train\.py\b", r"seqaudio train \1", text)
    text = re.sub(r"recipes/\w+/evaluate\.py --run\b", "seqaudio evaluate", text)
    return re.sub(r"(?<![\w/])(train|evaluate)\.py\b", r"seqaudio \1", text)


def recipe_of(arguments: Sequence[str]) -> str:
    """The recipe that made the run `--run`. Raises RunError where that is not a run, OptionError without --run."""
    if "--run" not in arguments[:-1]:
        raise OptionError("no run was given; usage: seqaudio evaluate RUN [--split test]")
    return recipe_of_run(Path(arguments[list(arguments).index("--run") + 1]))


def load(path: Path) -> ModuleType:
    """Import a script under a module name made of its folder and its file name."""
    name = f"seqaudio_script_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SeqAudioError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where tyro finds the source, whose comments are the help texts
    spec.loader.exec_module(module)
    return module


def _known(name: str, scripts: dict[str, Path], what: str) -> str:
    if name not in scripts:
        raise OptionError(f"no {what} is called {name!r}; {did_you_mean(name, list(scripts))}")
    return name


def _listing(scripts: dict[str, Path]) -> str:
    return "".join(f"  {name:<22}{_first_line(path)}\n" for name, path in scripts.items())


def _first_line(path: Path) -> str:
    """The first line of a script's docstring; the script is parsed, not run."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.splitlines()[0].removeprefix("Prepare ").removesuffix(".") if doc else ""
