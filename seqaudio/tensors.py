"""Read and write named tensors as safetensors files; reading one never runs code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqaudio.errors import RunError
from seqaudio.files import require_plain, write_bytes

# types of weights, as the header of a safetensors file names them
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Form(NamedTuple):
    """Type and shape of a tensor."""

    dtype: str  # such as F32
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> Form:
        """The form of a tensor, which may be on torch's meta device."""
        return cls(DTYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors to a safetensors file atomically; one that has several names is written under each."""
    found: dict[str, Tensor] = {}
    written = set[int]()  # where memory that is in `found` begins: the format takes no memory twice
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        place = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if place in written else plain
        written.add(place)
    write_bytes(path, save(found))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file. Raises RunError where it is missing or damaged."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with those of 16 bits, as packaged models store them, as float32."""
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}


def widened_form(form: Form) -> Form:
    """The form that `widened` gives a tensor."""
    return form._replace(dtype="F32") if form.dtype == "F16" else form


def read_forms(path: Path) -> dict[str, Form]:
    """The forms of the tensors in a safetensors file, from its header alone. Raises RunError as `load_tensors`."""
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        return {name: Form(str(part.get_dtype()), tuple(part.get_shape())) for name, part in slices.items()}


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None where none does."""
    return next((name for name, value in tensors.items() if not bool(value.isfinite().all())), None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise RunError(f"{path}: no such file, or not a plain one; train the run again")
    try:
        require_plain(path)
        with safe_open(path, framework="pt") as file:
            yield file
    # a damaged header may name types that torch does not have, or more bytes than there is memory
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{path}: not a readable safetensors file ({reason})") from None
