"""Build models from a name and plain arguments, which may come from a `config.json` that anybody wrote."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seqaudio.errors import RunError
from seqaudio.json_files import Range, fitted
from seqaudio.models.base import MODELS, Model
from seqaudio.tensors import Form

MAX_SIZE = 2**20  # greatest whole number among the arguments, such as hidden units or names of a vocabulary
BOUNDS = {
    "hidden_size": Range(1, MAX_SIZE),
    "input_size": Range(1, MAX_SIZE),
    "output_size": Range(1, MAX_SIZE),
    "embedding_size": Range(1, MAX_SIZE),
    "vocabulary_size": Range(1, MAX_SIZE),
    "classes": Range(1, MAX_SIZE),
    "layers": Range(0, 1000),  # a feed-forward net without hidden layers has 0
    "notes": Range(1, MAX_SIZE),
    "nade_size": Range(1, MAX_SIZE),
    "shared": Range(0, MAX_SIZE),
    "dropout": Range(0, 1),
    "input_dropout": Range(0, 1),
    "weight_dropout": Range(0, 1),
    "embedding_dropout": Range(0, 1),
    "mean_prior": Range(0, 1e9),
    "memory": Range(0, 1e9),
    "pooling": Range(1, 1e9),
    "pcan": Range(0, 1e3),
    "smoothing": Range(0, 1),
    "subsampling": Range(1, 1000),
}
ANY_SIZE = Range(0, MAX_SIZE)


def build_model(name: str, arguments: dict[str, Any]) -> Model:
    """The model registered under `name`, made from plain arguments.

    Raises:
        OptionError: no model has that name.
        RunError: the arguments do not fit the model, or its weights do not fit into memory.
    """
    kind = MODELS[name]
    _check_arguments(name, kind, arguments)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise RunError(f"model {name!r} does not take these arguments: {error}") from None
    except (RuntimeError, MemoryError) as error:  # torch's allocator raises RuntimeError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"model {name!r} cannot be made with these arguments: {reason}") from None


_DRAWING = {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where random numbers would fill them: on the meta device that imports a compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return (args or (kwargs["tensor"],))[0] if func in _DRAWING else func(*args, **kwargs)


def check_forms(name: str, arguments: dict[str, Any], stored: Mapping[str, Form]) -> None:
    """Compare the weights that a model would have with stored ones, before any is allocated.

    Raises:
        OptionError: no model has that name.
        RunError: the arguments do not fit the model, or the stored weights.
    """
    layers = arguments.get("layers")
    if isinstance(layers, int) and layers > max(len(stored), 1):
        raise RunError(f"{layers} layers, expected at most the {len(stored)} of the stored tensors")
    with torch.device("meta"), _Undrawn():  # sizes alone: nothing is allocated, and no random number is drawn
        whole = {"initialisation": ""} if "initialisation" in arguments else {}
        wanted = {name: Form.of(value) for name, value in build_model(name, arguments | whole).state_dict().items()}
    for tensor in sorted(wanted.keys() | stored.keys()):
        if wanted.get(tensor) != stored.get(tensor):
            raise RunError(f"{tensor}: stored as {stored.get(tensor)}, expected {wanted.get(tensor)}")


def _check_arguments(name: str, kind: type[Model], arguments: dict[str, Any]) -> None:
    """Raise RunError for an argument that the model does not have, of another type, or out of its bounds."""
    parameters = inspect.signature(kind).parameters
    hints = get_type_hints(kind.__init__)
    for argument, value in arguments.items():
        if argument not in parameters:
            raise RunError(f"model {name!r} does not take these arguments: it has no {argument!r}")
        try:
            fitted(hints.get(argument, Any), value, argument)
            bounds = BOUNDS.get(argument, ANY_SIZE)
            if isinstance(value, int | float) and not bounds.least <= value <= bounds.most:
                raise ValueError(f"{argument} is {value:,}, expected {bounds}")
        except ValueError as error:
            raise RunError(f"model {name!r} does not take these arguments: {error}") from None
        except TypeError:  # of a type that JSON does not have, in a model that --use registers
            continue
