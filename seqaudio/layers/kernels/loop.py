"""The loop over time: for each step the product with the recurrent weights, then the rest of the step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.inputs import Projection, input_gradients, input_tape, project, project_back
from seqaudio.layers.kernels.states import allocate, allocate_gradient, as_arrays

STEPS_AT_ONCE = 32  # of the backward pass, summed into the gradient of U by one product
FIRST_DERIVATIVES = "fused recurrent layers have first derivatives only, by backward(); build with fused=False"


@dataclass(frozen=True)
class Steps:
    """One kind of recurrence, compiled or in torch operations. `tape` is the tuple of tensors that its steps read and
    write, `gradients` that of the backward pass.

    step(t, tape): everything in step t after the product U h.
    step_back(t, gradients): the backward of `step`; writes into `grad_carry` the gradient of h by paths other than U h.
    sequence(tape, U^T in strips, inputs), sequence_back(gradients, U in strips, h, gradient of U, inputs): all steps
    with their products, those with the inputs too, in one call; only where compiled, and where that is faster than
    calls of torch's products.
    stream(...): a short window with its products with the inputs too, without gradients; of the compiled GRU alone.
    """

    step: Callable[[int, Any], None]
    step_back: Callable[[int, Any], None]
    sequence: Callable[..., None] | None = None
    sequence_back: Callable[..., None] | None = None
    stream: Callable[..., None] | None = None
    is_compiled: bool = False


def run_forward(
    steps: Steps,
    tape: Any,
    inputs: Projection,
    sums: Tensor,
    before: Tensor,
    weight: Tensor,
    products: Tensor,
    adds: bool,
) -> None:
    """W x + b into sums; then the steps in order: products[t] += before[t] U^T, and the rest of the step.

    products: [T, B, G H], from h [B, H] before step t. adds: whether they are added to what is there, or replace it.
    """
    if steps.is_compiled:
        tape = as_arrays(tape)
    if steps.sequence is not None:
        steps.sequence(tape, _in_strips(weight, transposed=True), input_tape(inputs))
        return
    project(inputs, sums)
    transposed = weight.t()
    for t, (h, product) in enumerate(zip(before, products, strict=False)):  # `before` holds the last state too
        product.addmm_(h, transposed, beta=float(adds))
        steps.step(t, tape)


def allocate_gradients(steps: Steps, sums: Tensor, may_share: bool = True) -> Tensor:
    """Memory for the gradients of sums [T, B, G]; step t is at index t modulo its length.

    They are needed only until they are summed into the gradients of the weights, so where that happens inside the loop
    there is room for a few steps, which stay in the cache. may_share: whether it may be the memory of the sums.
    """
    if steps.sequence_back is not None:
        return allocate(min(len(sums), STEPS_AT_ONCE), *sums.shape[1:], like=sums)
    return allocate_gradient(sums) if may_share else allocate(*sums.shape, like=sums)


def allocate_product_gradients(products: Tensor) -> Tensor:
    """The same for products with the state, which are always summed inside the loop."""
    return allocate(min(len(products), STEPS_AT_ONCE), *products.shape[1:], like=products)


def run_backward(
    steps: Steps,
    gradients: Any,
    inputs: Projection,
    needs_frames: bool,
    d_sums: Tensor,
    products: Tensor,
    weight: Tensor,
    grad_carry: Tensor,
    before: Tensor,
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """Run the steps backward, from the last to the first: `step_back`, then grad_carry += products[t] U.

    Args:
        d_sums: memory for the gradients of W x + b, as `allocate_gradients` makes it.
        products: memory for the gradients of U h, which may be a part of d_sums.
        grad_carry: [B, H], the gradient of h that goes to the step before.
        before: h [T + 1, B, H], row t is the input of step t.
    Returns:
        The gradient of U [G H, H], and those of x, W and b.
    """
    T, slots = len(before) - 1, len(products)
    d_weight = torch.zeros_like(weight)
    if steps.is_compiled:
        gradients = as_arrays(gradients)
    if steps.sequence_back is not None:
        arrays, found = input_gradients(inputs, needs_frames)
        steps.sequence_back(gradients, _in_strips(weight), before.numpy(), d_weight.numpy(), arrays)
        return d_weight, found
    for t in reversed(range(T)):
        steps.step_back(t, gradients)
        grad_carry.addmm_(products[t % slots], weight)
        if t % STEPS_AT_ONCE == 0:  # while these steps are still in the cache
            stop = min(t + STEPS_AT_ONCE, T)
            d_weight += _transposed_times(products[t % slots :][: stop - t], before[t:stop])
    return d_weight, project_back(inputs, d_sums, needs_frames)


def _in_strips(matrix: Tensor, transposed: bool = False) -> Any:
    from seqaudio.layers.kernels.compiled.products import in_strips

    return in_strips(matrix.numpy(), transposed)


def _transposed_times(products: Tensor, states: Tensor) -> Tensor:
    """[G H, H] from [T, B, G H] and [T, B, H], summed over steps and rows."""
    return products.flatten(0, 1).t() @ states.flatten(0, 1)


class FirstDerivatives(torch.autograd.Function):
    """The base class of autograd functions whose derivatives come from `backward` alone."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Raise RuntimeError: there is no forward mode."""
        raise RuntimeError(f"got tensors of forward-mode differentiation, but {FIRST_DERIVATIVES}")


def without_autocast(like: Tensor) -> AbstractContextManager[Any]:
    """A context in which autocast is off on the device of a tensor; where it is off already, entering costs nothing."""
    device = like.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def backward_once(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., tuple[Tensor | None, ...]]:
    """Decorate the `backward` of an autograd function that has no second derivative; turn autocast off in it.

    Raises RuntimeError where a second derivative is asked for; torch's `once_differentiable` would silently cut the
    graph where the incoming gradient is constant.
    """

    @functools.wraps(backward)
    def first_derivatives(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(f"got create_graph=True, but {FIRST_DERIVATIVES}")
        with without_autocast(gradients[0]):
            return backward(ctx, *gradients)

    return first_derivatives


def apply(function: type[FirstDerivatives], *arguments: Any) -> Any:
    """function.apply, which torch leaves untyped. Raises RuntimeError inside a transform of torch.func."""
    if torch._C._are_functorch_transforms_active():  # there is no public call
        raise RuntimeError(f"got a transform of torch.func (grad, vmap, ...), but {FIRST_DERIVATIVES}")
    return function.apply(*arguments)
