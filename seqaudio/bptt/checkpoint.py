"""All that a training needs to go on to the bit: tensors in safetensors, the rest in JSON, both checksummed.

    resume/epoch-00003-batch-0000120.safetensors   model, optimiser, averaged weights, generators, carried state
    resume/epoch-00003-batch-0000120.json          position, sums of the epoch, checksum of the file beside it

The JSON is written last: without it the tensors do not count. No two checkpoints of a training share a place, so that
none is written over another: the last two are kept.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from seqaudio.errors import RunError
from seqaudio.files import sha256_of, write_json
from seqaudio.tensors import load_tensors, save_tensors

KEPT = 2
PATTERN = "epoch-*.json"  # in the order of their names


def save_checkpoint(folder: Path, place: tuple[int, int], tensors: dict[str, Tensor], data: dict[str, Any]) -> None:
    """Keep a checkpoint and drop those older than the last two.

    place: epochs that are done, and batches of the next.
    """
    folder.mkdir(exist_ok=True)
    stem = "epoch-{:05d}-batch-{:07d}".format(*place)
    save_tensors(folder / f"{stem}.safetensors", tensors)
    checksum = sha256_of(folder / f"{stem}.safetensors")
    write_json(folder / f"{stem}.json", {"sha256": checksum, "data": data})
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint, or None where there is none yet.

    A damaged one is passed over with a warning and the one before it is used. Raises RunError where all are damaged.
    """
    found = sorted(folder.glob(PATTERN), reverse=True)
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
