"""The share of a cell's activations that are saturated, where their slope is nearly zero.

tanh saturated   |tanh| > 0.95           the slope 1 - tanh^2 is under 0.1
gates shut       sigmoid < 0.05          the slope s (1 - s) is under 0.05
gates open       sigmoid > 0.95
rectifiers off   relu = 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

TANH = 0.95
GATE = 0.05

Shares = dict[str, tuple[Tensor, int]]  # kind -> number of saturated activations of each row [B], activations a row


def saturated(kind: str, values: Tensor) -> dict[str, Tensor]:
    """Map each way in which an activation saturates to where it does, bool in the shape of `values`."""
    match kind:
        case "tanh":
            return {"tanh saturated": values.abs() > TANH}
        case "sigmoid":
            return {"gates shut": values < GATE, "gates open": values > 1 - GATE}
        case _:
            return {"rectifiers off": values <= 0}


_KINDS: dict[Callable[..., Any], str] = {
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    F.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    F.sigmoid: "sigmoid",
    torch.relu: "relu",
    Tensor.relu: "relu",
    F.relu: "relu",
}


class ActivationWatch(TorchFunctionMode):
    """Counts saturated results of tanh, sigmoid and relu between `begin` and `end`, inside its `with`, in any code.

    A kernel that computes a whole cell in one call calls none of them, so it cannot be watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shares: Shares | None = None

    def begin(self) -> None:
        self._shares = {}

    def end(self) -> Shares:
        shares, self._shares = self._shares, None
        return shares or {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._shares is not None and (kind := _KINDS.get(func)) is not None:
            for name, where in saturated(kind, result.detach()).items():
                rows = where.flatten(1)
                before, width = self._shares.get(name, (0, 0))
                self._shares[name] = (before + rows.sum(dim=1), width + rows.shape[1])
        return result
