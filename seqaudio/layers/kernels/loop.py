"""The loop over time: the product with the recurrent weights, then everything else of a step, T times."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.states import as_arrays, room

# up to here compiled products win: 5.5 against 10 ms for 100 steps of one row at H = 256, 16 against 21 ms of four
FEW_ROWS = 4
STEPS_AT_ONCE = 16


@dataclass(frozen=True)
class Steps:
    """One kind of recurrence in one kind of code. A tape is the tuple of tensors that its steps work on.

    step(t, tape): what follows the product U h of step t.
    step_back(t, gradients): the way back up to that product; leaves in `running` what reaches h by other ways.
    sequence(tape), sequence_back(gradients): all steps with their products in one call, where the code is compiled.
    """

    step: Callable[[int, Any], None]
    step_back: Callable[[int, Any], None]
    sequence: Callable[[Any], None] | None = None
    sequence_back: Callable[[Any], None] | None = None


def go_forward(steps: Steps, tape: Any, before: Tensor, weight: Tensor, products: Sequence[Tensor]) -> None:
    """Run the steps: products[t] [B, G H] = before[t] [B, H] times U, then the step."""
    if steps.sequence is not None:
        tape = as_arrays(tape)
        if before.shape[1] <= FEW_ROWS:
            steps.sequence(tape)
            return
    transposed = weight.t()
    for t, (h, product) in enumerate(zip(before, products, strict=False)):
        torch.mm(h, transposed, out=product)
        steps.step(t, tape)


def products_room(products: Tensor) -> Tensor:
    """Memory for the gradients of products [T, B, G H] that nothing but U and h wants; step t is at t modulo its steps.

    A few steps lie in the cache until the weights' gradient has been made of them; all of them would be fresh memory.
    """
    T, B, _ = products.shape
    return room(T if B <= FEW_ROWS else min(T, STEPS_AT_ONCE), *products.shape[1:], like=products)


def go_back(steps: Steps, gradients: Any, products: Tensor, weight: Tensor, running: Tensor, before: Tensor) -> Tensor:
    """Run the steps from the last to the first: the step, then running [B, H] += products[t] [B, G H] times U.

    Args:
        products: gradients of U h, of all steps or of the `products_room`.
        before: h [T + 1, B, H], row t is what step t consumed.
    Returns:
        The gradient of U [G H, H].
    """
    T, kept = len(before) - 1, len(products)
    if steps.sequence_back is not None:
        gradients = as_arrays(gradients)
        if len(running) <= FEW_ROWS:
            steps.sequence_back(gradients)
            return _transposed_times(products, before[:-1])
    d_weight = torch.zeros_like(weight)
    for t in reversed(range(T)):
        steps.step_back(t, gradients)
        running.addmm_(products[t % kept], weight)
        if t % STEPS_AT_ONCE == 0:  # of steps that lie in the cache yet
            stop = min(t + STEPS_AT_ONCE, T)
            d_weight += _transposed_times(products[t % kept :][: stop - t], before[t:stop])
    return d_weight


def _transposed_times(products: Tensor, states: Tensor) -> Tensor:
    """[G H, H] from [T, B, G H] and [T, B, H], summed over steps and rows."""
    return products.flatten(0, 1).t() @ states.flatten(0, 1)


def backward_once(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., tuple[Tensor | None, ...]]:
    """A `backward` of an autograd function that ignores autocast, as its forward did, and has no second derivative.

    Raises RuntimeError where one is asked for; torch's `once_differentiable` would cut the graph without a word
    where the gradient that comes in is constant.
    """

    @functools.wraps(backward)
    def first_derivatives(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "got create_graph=True, but fused recurrent layers have first derivatives only; build with fused=False"
            )
        with torch.autocast(gradients[0].device.type, enabled=False):
            return backward(ctx, *gradients)

    return first_derivatives


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """function.apply, which torch leaves untyped."""
    return function.apply(*arguments)  # type: ignore[no-untyped-call]
