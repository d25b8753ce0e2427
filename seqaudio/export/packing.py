"""Pack the run of a finished training as a model that comes with seqaudio: small, without its store, with its card.

    pack(Path("runs/digits"), "digits", card)

The folder is a run folder without what only a training needs. Weights are rounded to half precision, a quarter of what
a float64 and half of what a float32 takes, and read back as float32; of keyword models the step is recorded from these
rounded weights (`step_file.py`), so NumPy and torch give the same. No path of the machine is kept.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
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
from seqaudio.models import SpotterModel
from seqaudio.recorded_step import STEP_FILE
from seqaudio.run_folder import RunFolder
from seqaudio.tensors import save_tensors
from seqaudio.trained.cards import CARD, PAGE, Card, page
from seqaudio.trained.finding import CONFIG, MODELS
from seqaudio.version import __version__

MOST = 1_000_000  # bytes of all files of a model
COPIED = ("spotting.json", "decoding.json", "metrics.jsonl")
WRITTEN = {CONFIG, "model.safetensors", "results.json", STEP_FILE, CARD, PAGE, *COPIED}
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
    results = read_results(folder.path)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{name}.partial-", dir=out) as partial:
        made = Path(partial) / name
        made.mkdir()
        write_json(made / CONFIG, _without_folders(_config(folder)))
        write_json(made / "results.json", _without_folders(_results(results)))
        for file in COPIED:
            if (folder.path / file).is_file():
                write_bytes(made / file, read_plain(folder.path / file))
        model = folder.model()
        save_tensors(made / "model.safetensors", rounded(model))
        packed = RunFolder(made)
        if isinstance(model, SpotterModel):
            write_step(export_step(packed), made / STEP_FILE, sha256_of(made / "model.safetensors"))
        labels = tuple(folder.vocabulary) if folder.recipe == "keyword_recognition" else ()
        told = dataclasses.replace(
            card, recipe=folder.recipe, labels=labels, parameters=results["parameters"], seqaudio=__version__
        )
        write_json(made / CARD, asdict(told))
        write_bytes(made / PAGE, page(told, name).encode())
        size = sum(file.stat().st_size for file in made.iterdir())
        if size > MOST:
            raise RunError(f"{run}: packed it takes {size:,} bytes, expected at most {MOST:,}; train a smaller model")
        if place.exists():
            shutil.rmtree(place)
        made.rename(place)
    return place


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
    if place.exists() and (not place.is_dir() or {file.name for file in place.iterdir()} - WRITTEN):
        raise OptionError(f"{place} exists and is not a packed model; remove it, or give another name")
