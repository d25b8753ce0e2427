"""All that a training needs to go on to the bit: tensors in safetensors, the rest in JSON, both checksummed.

    resume/step-000001234.safetensors   model, optimiser, generators, carried state
    resume/step-000001234.json          position, sums of the epoch, checksum of the file beside it

The JSON is written last: without it the tensors do not count. The last two checkpoints are kept.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqaudio.errors import RunError
from seqaudio.files import sha256_of, write_bytes, write_json

KEPT = 2


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors to a safetensors file, whole or not at all."""
    write_bytes(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file. Raises RunError where it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: not a readable safetensors file ({error})") from None


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], data: dict[str, Any]) -> None:
    """Keep a checkpoint of optimiser step `step` and drop those older than the last two."""
    folder.mkdir(exist_ok=True)
    stem = f"step-{step:09d}"
    save_tensors(folder / f"{stem}.safetensors", tensors)
    checksum = sha256_of(folder / f"{stem}.safetensors")
    write_json(folder / f"{stem}.json", {"step": step, "sha256": checksum, "data": data})
    for old in sorted(folder.glob("step-*.json"))[:-KEPT]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint, or None where there is none yet.

    A damaged one is passed over with a warning and the one before it is used. Raises RunError where all are damaged.
    """
    found = sorted(folder.glob("step-*.json"), reverse=True)
    for file in found:
        tensors = file.with_suffix(".safetensors")
        try:
            header = json.loads(file.read_text(encoding="utf-8"))
            if sha256_of(tensors) == header["sha256"]:
                data: dict[str, Any] = header["data"]
                return load_tensors(tensors), data
            damage = "its checksum does not fit"
        except (OSError, ValueError, KeyError, TypeError) as error:
            damage = str(error)
        warnings.warn(f"checkpoint {file.stem} is damaged ({damage}); going back to the one before it", stacklevel=2)
    if found:
        raise RunError(f"{folder}: no checkpoint is whole; start anew with another --run")
    return None
