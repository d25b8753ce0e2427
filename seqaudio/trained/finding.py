"""Find the trained models that come with seqaudio by name: what a command takes as a run may be such a name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqaudio.errors import RunError
from seqaudio.json_files import checked, read_json

MODELS = Path(__file__).parent / "models"
CONFIG = "config.json"  # what makes a folder a run

_told = set[str]()  # names of which a user was told that a folder goes first


def packaged() -> dict[str, Path]:
    """The folders of the models that come with seqaudio, by name, sorted."""
    return {file.parent.name: file.parent for file in sorted(MODELS.glob(f"*/{CONFIG}"))}


def is_packaged(folder: Path) -> bool:
    """Whether a folder is that of a model that comes with seqaudio."""
    return folder.parent == MODELS


def found(run: Path | str) -> Path:
    """The folder of a run: `run` itself, or that of the packaged model of this name.

    A run in a folder of that name goes first, which one line on stderr says; another folder of that name does not
    count, which is said as well.
    """
    path = Path(run)
    name = str(path)
    own = packaged().get(name)
    if own is None:
        return path
    is_run = (path / CONFIG).is_file()
    if path.exists() and name not in _told:
        _told.add(name)
        which = f"the folder {path} is used, not" if is_run else f"the folder {path} is no run, so it is"
        print(f"note: {which} the model {name} that comes with seqaudio", file=sys.stderr, flush=True)
    return path if is_run else own


def folder_or_model(path: Path) -> Path:
    """A path as it is where something is there, which need not be a run; otherwise as `found`."""
    return path if path.exists() else found(path)


def missing(path: Path, recipes: Sequence[str] = ()) -> RunError:
    """The error for a run that is not there; for a name without a folder it lists the models that come with seqaudio.

    recipes: those of which a run is wanted; any by default.
    """
    if not _is_name(path):
        return RunError(f"{path}: no such folder; seqaudio train NAME --run {path} makes it")
    models = [name for name, folder in packaged().items() if not recipes or recipe_of_run(folder) in recipes]
    known = f"the models {', '.join(models)} come with seqaudio" if models else "no model for this comes with seqaudio"
    return RunError(f"{path}: no such folder; {known}, and seqaudio train NAME --run {path} makes it")


def _is_name(path: Path) -> bool:
    """Whether a path could be the name of a model: it has no folder before it."""
    return len(path.parts) == 1


@dataclass(frozen=True)
class Made:
    """The recipe that made a run, in its `config.json`."""

    recipe: str


def recipe_of_run(run: Path | str, recipes: Sequence[str] = ()) -> str:
    """The recipe that made a run, or a model that comes with seqaudio, without loading anything heavy.

    recipes: those of which a run is wanted, for the message.
    Raises RunError where it is no run.
    """
    folder = found(run)
    if not folder.exists() and _is_name(folder):
        raise missing(folder, recipes)
    try:
        return checked(Made, read_json(folder / CONFIG)).recipe
    except (OSError, ValueError):
        raise RunError(f"{run}: not a run (no readable {CONFIG}); seqaudio train NAME makes runs") from None
