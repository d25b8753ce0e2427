"""Operations on recurrent states: nested tuples of tensors, each with the batch as its first dimension.

A cell's state is a NamedTuple of tensors [B, ...]; a stack's is a tuple of its layers' states. A single tensor
and an empty tuple (a layer without memory) are states too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

State: TypeAlias = "Tensor | tuple[State, ...]"
StateT = TypeVar("StateT", bound=State)


def _rebuild(like: tuple[State, ...], parts: Iterable[State]) -> tuple[State, ...]:
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


def _children(state: tuple[State, ...]) -> list[tuple[str, State]]:
    names = getattr(state, "_fields", None) or map(str, range(len(state)))
    return list(zip(names, state, strict=True))


def map_state(fn: Callable[..., Tensor], state: StateT, *others: StateT) -> StateT:
    """Apply `fn` to corresponding tensors of all states; the result has the same structure.

    Raises ValueError where the states are nested differently, TypeError for a leaf that is not a tensor.
    """
    everything: list[State] = [state, *others]
    if isinstance(state, Tensor):
        if not all(isinstance(other, Tensor) for other in others):
            raise ValueError("states differ in structure: one has a tensor where another has a tuple")
        return fn(*everything)  # type: ignore[return-value]  # a tensor for a tensor
    if not isinstance(state, tuple):
        raise TypeError(f"a state is made of tensors and tuples, got {type(state).__name__}")
    lengths = [len(part) if isinstance(part, tuple) else None for part in everything]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"states differ in structure: {lengths} parts at one place (None is a tensor), expected equal numbers"
        )
    parts = [map_state(fn, *part) for part in zip(*everything, strict=True)]
    return _rebuild(state, parts)  # type: ignore[return-value]  # rebuilt as the type it had


def tensors(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in the order of its fields."""
    yield from flatten(state).values()


def batch_size(state: State) -> int:
    """B, common to all tensors. Raises ValueError where they disagree or there are none."""
    sizes = {name: tensor.shape[0] for name, tensor in flatten(state).items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"got a state with {sizes or 'no tensors'}, expected the same batch size in all tensors")
    return next(iter(sizes.values()))


def state_spec(state: State) -> dict[str, tuple[int, ...]]:
    """The names of a state's tensors, as `flatten` gives them, and their shapes for one row, without the batch.

    The spec of a stream's state is the same after an hour as at its start.
    """
    return {name: tuple(tensor.shape[1:]) for name, tensor in flatten(state).items()}


def detach(state: StateT) -> StateT:
    """The same values without the graph that computed them, as between windows of truncated BPTT."""
    return map_state(torch.detach, state)


def select(mask: Tensor, chosen: StateT, other: StateT) -> StateT:
    """Row b of `chosen` where mask[b], of `other` elsewhere.

    mask: [B] bool. A selection rather than a product: NaN in a row that is not selected reaches neither values nor
    gradients, and rows of a learned initial state receive their gradient.
    """

    def rows(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask.reshape(-1, *[1] * (a.dim() - 1)), a, b)

    return map_state(rows, chosen, other)


def flatten(state: State, prefix: str = "") -> dict[str, Tensor]:
    """Map dotted names to tensors: field names of NamedTuples, indices of tuples, such as `0.memory`.

    The name of a single tensor is the prefix alone.
    """
    if isinstance(state, Tensor):
        return {prefix: state}
    if not isinstance(state, tuple):
        raise TypeError(f"a state is made of tensors and tuples, got {type(state).__name__}")
    flat: dict[str, Tensor] = {}
    for name, part in _children(state):
        flat |= flatten(part, f"{prefix}.{name}" if prefix else name)
    return flat


def unflatten(template: StateT, tensors: Mapping[str, Tensor], prefix: str = "") -> StateT:
    """The inverse of `flatten`: the structure of `template` filled with the named tensors.

    Raises ValueError where names are missing or unexpected, listing both.
    """
    expected = flatten(template, prefix)
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(f"tensors do not fit the state: missing {missing}, unexpected {unexpected}")

    def fill(part: State, name: str) -> State:
        if isinstance(part, Tensor):
            return tensors[name]
        children = _children(part)
        return _rebuild(part, [fill(child, f"{name}.{key}" if name else key) for key, child in children])

    return fill(template, prefix)  # type: ignore[return-value]  # filled as the type it had
