"""Choose a model's width: as given, or from a budget of parameters."""

from __future__ import annotations

from typing import Any

import torch

from seqaudio.errors import OptionError
from seqaudio.layers.build import width_for
from seqaudio.models.base import MODELS


def choose_width(
    name: str, arguments: dict[str, Any], *, hidden_size: int | None, parameters: int | None, default: int
) -> int:
    """The hidden_size of a model: the given one, that of a budget of parameters, or the default where neither is given.

    name, arguments: of the model, without hidden_size. parameters: see `width_within`.
    Raises OptionError where both are given, or where one is invalid.
    """
    if hidden_size is not None and parameters is not None:
        raise OptionError(
            f"hidden_size {hidden_size} and parameters {parameters} exclude each other; give one of the two"
        )
    if parameters is not None:
        return width_within(name, arguments, parameters)
    width = default if hidden_size is None else hidden_size
    if width < 1:
        raise OptionError(f"got hidden_size {width}, expected at least 1, such as {default}")
    return width


def width_within(name: str, arguments: dict[str, Any], parameters: int) -> int:
    """The hidden_size at which the whole model is nearest to a number of trainable parameters.

    Raises OptionError where width 1 takes more than twice as many, or no width reaches the number.
    """

    def count(width: int) -> int:
        with torch.device("meta"):  # sizes alone: nothing is allocated, and no random number is drawn
            model = MODELS[name](**arguments | {"hidden_size": width, "initialisation": ""})
        return model.parameter_count()

    return width_for(count, parameters)
