"""Checkpoints, from which training resumes bit for bit: tensors in safetensors, the rest in JSON, with a checksum.

    resume/epoch-00003-batch-0000120.safetensors   model, optimiser, averaged weights, generators, carried state
    resume/epoch-00003-batch-0000120.json          position, sums of the epoch, SHA-256 of both and of the tensors

The JSON is written last: without it the tensors are ignored. Every checkpoint has files of its own, and the last two
are kept.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from seqaudio.errors import RunError
from seqaudio.files import json_text, sha256_of, write_json
from seqaudio.json_files import checked, read_json
from seqaudio.tensors import load_tensors, save_tensors

KEPT = 2
PATTERN = "epoch-*.json"  # in the order of their names


@dataclass(frozen=True)
class Header:
    """The JSON of a checkpoint."""

    sha256: str  # of the file of tensors
    data: dict[str, Any]
    sha256_of_data: str | None = None  # None in checkpoints of versions that did not write it


def save_checkpoint(folder: Path, place: tuple[int, int], tensors: dict[str, Tensor], data: dict[str, Any]) -> None:
    """Write a checkpoint and delete those older than the last two.

    place: finished epochs, and finished batches of the next.
    """
    folder.mkdir(exist_ok=True)
    stem = "epoch-{:05d}-batch-{:07d}".format(*place)
    save_tensors(folder / f"{stem}.safetensors", tensors)
    checksum = sha256_of(folder / f"{stem}.safetensors")
    write_json(folder / f"{stem}.json", {"sha256": checksum, "data": data, "sha256_of_data": _sha256_of_data(data)})
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(
    folder: Path, check: Callable[[dict[str, Any]], object] = dict
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint that is not damaged, or None where there is none yet.

    check: called with the data; raises ValueError where they are damaged.
    A damaged checkpoint is skipped with a warning, and the one before it is used.
    Raises RunError where all are damaged.
    """
    found = sorted(folder.glob(PATTERN), reverse=True)
    for file in found:
        tensors = file.with_suffix(".safetensors")
        try:
            header = checked(Header, read_json(file))
            check(header.data)
            intact = header.sha256_of_data in (None, _sha256_of_data(header.data))
            if intact and sha256_of(tensors) == header.sha256:
                return load_tensors(tensors), header.data
            damage = "its checksum does not match"
        except (OSError, ValueError, RunError) as error:
            damage = str(error)
        warnings.warn(f"checkpoint {file.stem} is damaged ({damage}); using the one before it", stacklevel=2)
    if found:
        raise RunError(f"{folder}: all {len(found)} checkpoints are damaged; start again with another --run")
    return None


def _sha256_of_data(data: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(data, sort_keys=True).encode()).hexdigest()
