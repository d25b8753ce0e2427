"""Pack the run of a finished training, without its store, with its card: to come with seqaudio, or for a model hub.

    pack(Path("runs/digits"), "digits", card)
    pack_for_hub(Path("runs/digits"), Path("digits"), card)

The folder is a run folder without what only a training needs. For a hub the weights are those of the run, to the bit.
For the package they are rounded to half precision, a quarter of what a float64 and half of what a float32 takes, and
read back as float32; of keyword models for streams the step is recorded from these rounded weights (`step_file.py`), so
NumPy and torch give the same. No path of the machine is kept.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import read_results
from seqaudio.export.step_file import write_step
from seqaudio.export.steps import export_step
from seqaudio.files import read_plain, sha256_of, write_bytes, write_json
from seqaudio.folders import Kind, real_path, remove
from seqaudio.models import SpotterModel
from seqaudio.recorded_step import STEP_FILE
from seqaudio.run_folder import RunFolder
from seqaudio.tensors import save_tensors
from seqaudio.trained.cards import CARD, PAGE, Card, Figure, page
from seqaudio.trained.finding import CONFIG, MODELS
from seqaudio.version import __version__

MOST = 1_000_000  # bytes of all files of a model
WEIGHTS = "model.safetensors"
COPIED = ("spotting.json", "decoding.json", "metrics.jsonl")
OF_GIT = {".git", ".gitattributes"}  # of the clone of a hub's repository
WRITTEN = {CONFIG, WEIGHTS, "results.json", STEP_FILE, CARD, PAGE, *COPIED}
PACKED = Kind("a packed model", re.compile("|".join(map(re.escape, sorted(WRITTEN)))))
FOLDERS = re.compile(r"(?<![\w.~-])~?/(?:[^\s/'\"]+/)*")  # those of absolute paths in a text


def pack(run: Path, name: str, card: Card, out: Path = MODELS) -> Path:
    """Write the folder of a model, in place of an earlier one of the same name. Returns it.

    Args:
        run: of a finished training.
        name: by which commands find it, such as digits.
        card: what to tell of it; recipe, labels, parameters and version are filled in.
        out: where the folders of models are.
    Raises:
        RunError: a training that is not finished, a model whose weights do not fit half precision, or that takes more
            than a megabyte.
        OptionError: a name that is no plain name, or that of a folder that no packing wrote.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise OptionError(f"a model called {name!r}, expected small letters, digits and _, such as hey_computer")
    folder, place = RunFolder(run), out / name
    _check_replaceable(place)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{name}.partial-", dir=out) as partial:
        made = Path(partial) / name
        made.mkdir()
        _write(folder, made, name, card, half=True)
        size = sum(file.stat().st_size for file in made.iterdir())
        if size > MOST:
            raise RunError(f"{run}: packed it takes {size:,} bytes, expected at most {MOST:,}; train a smaller model")
        if place.exists():
            remove(place, PACKED)
        made.rename(place)
    return place


def pack_for_hub(run: Path, out: Path, card: Card | None = None, force: bool = False) -> Path:
    """Write a folder as model hubs take it: weights, config, results and a page with front matter. Returns it.

    `RunFolder` and all commands take the folder as a run, with equal outputs.

    Args:
        out: a new folder, or with `force` one that was written before, the clone of a repository too.
        card: what to tell of the model; None: what the run says.
    Raises:
        RunError: a training that is not finished.
        OptionError: a folder that exists, or has other files than a packed model.
    """
    folder, out = RunFolder(run), real_path(out)
    if out.exists() and not force:
        raise OptionError(f"--hub {out} exists; give --force to write into it, or choose another folder")
    _check_replaceable(out)
    if not out.parent.is_dir():
        raise OptionError(f"--hub {out}: {out.parent} is no folder; make it first")
    with TemporaryDirectory(prefix=f"{out.name}.partial-", dir=out.parent) as partial:
        made = Path(partial)
        _write(folder, made, out.name, card or card_of_run(folder), half=False)
        out.mkdir(exist_ok=True)
        for name in sorted(WRITTEN, key=lambda name: name == CONFIG):  # the config last: it makes the folder a run
            if (made / name).is_file():
                (made / name).replace(out / name)
            else:
                (out / name).unlink(missing_ok=True)
    return out


def card_of_run(folder: RunFolder, licence: str = "") -> Card:
    """The card that a run's own files give: its figures on the test split, or else on validation."""
    results = read_results(folder.path)
    split = "test" if results.get("test") else "valid"
    figures = tuple(
        Figure(f"{name} on {split}", value, key=f"{split}.{name}")
        for name, value in results[split].items()
        if name != "count" and isinstance(value, float | int) and math.isfinite(value)
    )
    what = folder.recipe.replace("_", " ")
    return Card(
        title=what,
        about=f"A model of the recipe {folder.recipe} of seqaudio. `seqaudio info FOLDER` describes it, and every "
        f"command takes the folder as a run.",
        recipe=folder.recipe,
        licence=licence,
        commercial=None,
        output_commercial=None,
        terms="",
        data=(),
        figures=figures,
        tags=tuple(folder.recipe.split("_")),
    )


def _write(folder: RunFolder, made: Path, name: str, card: Card, half: bool) -> None:
    """Write the files of a model into an empty folder; `half` rounds its weights to half precision."""
    results = read_results(folder.path)
    write_json(made / CONFIG, _without_folders(_config(folder)))
    write_json(made / "results.json", _without_folders(_results(results)))
    for file in COPIED:
        if (folder.path / file).is_file():
            write_bytes(made / file, read_plain(folder.path / file))
    model = folder.model()
    if half:
        save_tensors(made / WEIGHTS, rounded(model))
    else:
        write_bytes(made / WEIGHTS, read_plain(folder.path / WEIGHTS))
    if isinstance(model, SpotterModel):
        write_step(export_step(RunFolder(made)), made / STEP_FILE, sha256_of(made / WEIGHTS))
    labels = tuple(folder.vocabulary) if folder.recipe == "keyword_recognition" else ()
    told = dataclasses.replace(
        card, recipe=folder.recipe, labels=labels, parameters=results["parameters"], seqaudio=__version__
    )
    write_json(made / CARD, asdict(told))
    write_bytes(made / PAGE, page(told, name).encode())


def rounded(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model with its parameters in half precision; statistics and other buffers stay as they are.

    Raises RunError for a parameter that is beyond the range of half precision.
    """
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    found = {}
    for name, value in model.state_dict().items():
        found[name] = value.half() if name in parameters and value.dtype == torch.float32 else value
        if not bool(found[name].isfinite().all()):
            raise RunError(f"{name} holds values up to {float(value.abs().max()):.3g}, too large for half precision")
    return found


def _config(folder: RunFolder) -> dict[str, Any]:
    """The run's config without its store's path; options that are paths are left to their defaults."""
    settings = {
        name: value
        for name, value in folder.settings.items()
        if not any(isinstance(part, str) and "/" in part for part in (value if isinstance(value, list) else [value]))
    }
    return folder.config | {"settings": settings}


def _results(found: dict[str, Any]) -> dict[str, Any]:
    """The results without the details of readings, which are long."""
    kept = {name: value for name, value in found.items() if name != "test_details"}
    kept["tests"] = {
        store: {name: value for name, value in test.items() if name != "test_details"}
        for store, test in found.get("tests", {}).items()
    }
    return kept


def _without_folders(value: Any) -> Any:
    """The same lists and dictionaries with the last part alone of each absolute path in a text."""
    if isinstance(value, dict):
        return {key: _without_folders(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(part) for part in value]
    return FOLDERS.sub("", value) if isinstance(value, str) else value


def _check_replaceable(place: Path) -> None:
    """Raise OptionError for a folder with files that no packing wrote."""
    if place.exists() and (not place.is_dir() or {file.name for file in place.iterdir()} - WRITTEN - OF_GIT):
        raise OptionError(f"{place} exists and is not a packed model; remove it, or give another name")
