"""Record the operations of torch that a step makes, as a `Graph`.

The step runs once on real tensors, and every operation of it is translated. What depends on no input is computed here
and becomes a constant, such as transposed weights; whatever moves values is found out by moving numbers 0, 1, 2, ..
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seqaudio.errors import RunError
from seqaudio.export.graph import Cosines, Graph, Value, constant, new_node, picked, reshaped

MOVES = {
    "view", "_unsafe_view", "reshape", "t", "transpose", "permute", "slice", "select", "unsqueeze", "squeeze", "expand",
    "unfold", "clone", "detach", "alias", "split", "split_with_sizes", "flip", "index", "gather", "index_select",
    "contiguous", "_to_copy", "_reshape_alias", "unbind", "repeat", "lift_fresh",
}  # fmt: skip
UNARY = {"sigmoid", "tanh", "relu", "exp", "log", "sqrt", "neg", "abs", "logical_not"}
BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "maximum": "max", "minimum": "min", "gt": "greater",
    "lt": "less", "ge": "greater_equal", "le": "less_equal", "eq": "equal", "clamp_min": "max", "clamp_max": "min",
    "logical_and": "and", "bitwise_and": "and",
}  # fmt: skip
COMPARISONS = {"greater", "less", "greater_equal", "less_equal", "equal", "and"}
FILLS = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty", "empty_like"}


def trace(
    step: Callable[..., Sequence[Tensor]],
    inputs: dict[str, Tensor],
    results: Sequence[str],
    exact: Iterable[tuple[Tensor, Cosines | None]] = (),
) -> Graph:
    """The graph of a step.

    Args:
        step: a function, or a module in evaluation mode, of the inputs in their order.
        inputs: example values by name; shapes are fixed.
        results: names of what it returns.
        exact: constants that are never rounded to 8 bits, and their formulas.
    Raises:
        RunError: an operation that has no translation; the message names it.
    """
    recorder = _Recorder(inputs)
    for tensor, cosines in exact:
        value = recorder.value(tensor)
        value.exact, value.cosines = True, cosines
    with torch.no_grad(), recorder:
        returned = step(*inputs.values())
    values = {name: recorder.value(tensor) for name, tensor in zip(results, returned, strict=True)}
    return Graph({name: recorder.value(tensor) for name, tensor in inputs.items()}, values)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """Translates each operation as it happens."""

    def __init__(self, inputs: dict[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self._values: dict[int, Value] = {}
        self._kept: list[Tensor] = []  # so that no other tensor has the identity of one that was seen
        for name, tensor in inputs.items():
            self._keep(tensor, Value(tuple(tensor.shape), _dtype(tensor), name=name))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        returned = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if not any(self._varies(tensor) for tensor in _tensors((args, kwargs))) or name in FILLS:
            return returned  # a constant
        if func._schema.is_mutable:
            raise self._unknown(name)
        outputs = returned if isinstance(returned, (tuple, list)) else (returned,)
        values = self._translated(name, func, args, kwargs, outputs)
        for tensor, value in zip(outputs, values, strict=False):
            self._keep(tensor, value)
        return returned

    def value(self, part: Any) -> Value:
        """The value of a tensor or number."""
        if isinstance(part, Tensor):
            found = self._values.get(id(part))
            if found is None:
                found = constant(part.detach().cpu().numpy())
                self._keep(part, found)
            return found
        return constant(np.array(part, dtype=np.float32))

    def _keep(self, tensor: Tensor, value: Value) -> None:
        self._kept.append(tensor)
        self._values[id(tensor)] = value

    def _varies(self, tensor: Tensor) -> bool:
        value = self._values.get(id(tensor))
        return value is not None and value.constant is None

    def _unknown(self, name: str) -> RunError:
        return RunError(f"the model's step has the operation {name}, which cannot be exported; take another model")

    def _translated(
        self, name: str, func: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: Sequence[Tensor]
    ) -> list[Value]:
        shape = tuple(outputs[0].shape) if isinstance(outputs[0], Tensor) else ()
        if name in MOVES:
            return self._moved(name, func, args, kwargs, outputs)
        if name in UNARY:
            return [new_node("elementwise", [self.value(args[0])], shape, _dtype(outputs[0]), function=name)]
        if name in BINARY and kwargs.get("rounding_mode") is None:
            other = self.value(args[1])
            if (alpha := kwargs.get("alpha", 1)) != 1:
                other = self._binary("mul", other, self.value(alpha), other.shape)
            return [self._binary(BINARY[name], self.value(args[0]), other, shape)]
        translate = getattr(self, "_" + name.lstrip("_"), None)
        if translate is None:
            raise self._unknown(name)
        result: Value = translate(shape, *args, **kwargs)
        return [result]

    def _moved(
        self, name: str, func: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: Sequence[Tensor]
    ) -> list[Value]:
        source = self.value(args[0])
        if name == "_to_copy" and _dtype(outputs[0]) != source.dtype:
            if source.dtype != "bool":
                raise self._unknown("a change of type")
            ones, zeros = (constant(np.array(number, dtype=np.float32)) for number in (1, 0))
            return [new_node("where", [source, ones, zeros], outputs[0].shape)]
        if name in ("t", "transpose", "permute") and source.size > max(source.shape, default=1):
            axes = torch.arange(len(source.shape)).tolist()
            if name == "permute":
                axes = [axis % len(axes) for axis in args[1]]
            else:
                one, other = (0, len(axes) - 1) if name == "t" else (args[1], args[2])
                axes[one], axes[other] = axes[other], axes[one]
            return [new_node("permute", [source], outputs[0].shape, source.dtype, axes=tuple(axes))]
        numbers = torch.arange(source.size).reshape(source.shape)
        kwargs = {key: option for key, option in kwargs.items() if key not in ("dtype", "memory_format")}
        moved = numbers.clone() if name == "_to_copy" else func(numbers, *args[1:], **kwargs)
        moved = moved if isinstance(moved, (tuple, list)) else (moved,)
        return [picked(source, part.numpy().copy()) for part in moved]

    def _binary(self, function: str, one: Value, other: Value, shape: Iterable[int]) -> Value:
        dtype = "bool" if function in COMPARISONS else one.dtype
        return new_node("elementwise", [one, other], shape, dtype, function=function)

    # --- one operation each; the first argument is the shape of the result ---

    def _addmm(self, shape: tuple[int, ...], bias: Tensor, one: Tensor, other: Tensor) -> Value:
        product = new_node("matmul", [self.value(one), self.value(other)], shape)
        return self._binary("add", product, self.value(bias), shape)

    def _mm(self, shape: tuple[int, ...], one: Tensor, other: Tensor) -> Value:
        return new_node("matmul", [self.value(one), self.value(other)], shape)

    def _mv(self, shape: tuple[int, ...], one: Tensor, other: Tensor) -> Value:
        column = reshaped(self.value(other), (other.shape[0], 1))
        return reshaped(new_node("matmul", [self.value(one), column], (one.shape[0], 1)), shape)

    def _bmm(self, shape: tuple[int, ...], one: Tensor, other: Tensor) -> Value:
        if shape[0] != 1:
            raise self._unknown("bmm")
        parts = [reshaped(self.value(part), part.shape[1:]) for part in (one, other)]
        return reshaped(new_node("matmul", parts, shape[1:]), shape)

    def _embedding(self, shape: tuple[int, ...], table: Tensor, ids: Tensor, *_: Any) -> Value:
        flat = reshaped(self.value(ids), (ids.numel(),))
        return reshaped(new_node("rows", [self.value(table), flat], (ids.numel(), table.shape[1])), shape)

    def _where(self, shape: tuple[int, ...], condition: Tensor, one: Any, other: Any) -> Value:
        parts = [self.value(condition), self.value(one), self.value(other)]
        return new_node("where", parts, shape, parts[1].dtype)

    def _cat(self, shape: tuple[int, ...], parts: Sequence[Tensor], dim: int = 0) -> Value:
        values = [self.value(part) for part in parts if part.numel()]
        if len(values) == 1:
            return reshaped(values[0], shape)
        return new_node("concat", values, shape, values[0].dtype, axis=dim % len(shape))

    def _stack(self, shape: tuple[int, ...], parts: Sequence[Tensor], dim: int = 0) -> Value:
        axis = dim % len(shape)
        one = (*shape[:axis], 1, *shape[axis + 1 :])
        values = [reshaped(self.value(part), one) for part in parts]
        return values[0] if len(values) == 1 else new_node("concat", values, shape, axis=axis)

    def _constant_pad_nd(self, shape: tuple[int, ...], source: Tensor, pad: Sequence[int], value: float = 0.0) -> Value:
        numbers = torch.arange(source.numel()).reshape(source.shape)
        index = torch.constant_pad_nd(numbers, pad, source.numel()).numpy()
        filled = [reshaped(self.value(source), (source.numel(),)), constant(np.array([value], dtype=np.float32))]
        return picked(new_node("concat", filled, (source.numel() + 1,), axis=0), index)

    def _index_put(self, shape: tuple[int, ...], source: Tensor, places: Any, values: Tensor) -> Value:
        numbers = torch.arange(source.numel()).reshape(source.shape)
        index = torch.index_put(numbers, places, torch.arange(values.numel()).reshape(values.shape) + source.numel())
        if bool((index >= source.numel()).all()):
            return picked(self.value(values), (index - source.numel()).numpy())
        both = [reshaped(self.value(part), (part.numel(),)) for part in (source, values)]
        return picked(new_node("concat", both, (source.numel() + values.numel(),), axis=0), index.numpy())

    def _clamp(self, shape: tuple[int, ...], source: Tensor, min: Any = None, max: Any = None) -> Value:
        value = self.value(source)
        if min is not None:
            value = self._binary("max", value, self.value(min), shape)
        return value if max is None else self._binary("min", value, self.value(max), shape)

    def _pow(self, shape: tuple[int, ...], source: Tensor, exponent: Any) -> Value:
        if exponent != 2:
            raise self._unknown(f"pow {exponent}")
        return self._binary("mul", self.value(source), self.value(source), shape)

    def _rsub(self, shape: tuple[int, ...], one: Tensor, other: Any, alpha: float = 1) -> Value:
        return self._binary("sub", self.value(other), self._scaled(self.value(one), alpha), shape)

    def _reciprocal(self, shape: tuple[int, ...], source: Tensor) -> Value:
        return self._binary("div", self.value(1.0), self.value(source), shape)

    def _rsqrt(self, shape: tuple[int, ...], source: Tensor) -> Value:
        root = new_node("elementwise", [self.value(source)], shape, function="sqrt")
        return self._binary("div", self.value(1.0), root, shape)

    def _log_sigmoid_forward(self, shape: tuple[int, ...], source: Tensor) -> Value:
        """min(x, 0) - ln(1 + exp(-|x|)), which never overflows."""
        value, zero, one = self.value(source), self.value(0.0), self.value(1.0)
        for function in ("abs", "neg", "exp"):
            value = new_node("elementwise", [value], shape, function=function)
        nats = new_node("elementwise", [self._binary("add", value, one, shape)], shape, function="log")
        return self._binary("sub", self._binary("min", self.value(source), zero, shape), nats, shape)

    def _addcmul(self, shape: tuple[int, ...], base: Tensor, one: Tensor, other: Tensor, value: float = 1) -> Value:
        parts = np.broadcast_shapes(one.shape, other.shape)
        product = self._binary("mul", self.value(one), self.value(other), parts)
        return self._binary("add", self.value(base), self._scaled(product, value), shape)

    def _scaled(self, value: Value, factor: float) -> Value:
        return value if factor == 1 else self._binary("mul", value, self.value(factor), value.shape)

    def _sum(self, shape: tuple[int, ...], source: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Value:
        return self._reduced("sum", shape, source, dim)

    def _mean(self, shape: tuple[int, ...], source: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Value:
        return self._reduced("mean", shape, source, dim)

    def _amax(self, shape: tuple[int, ...], source: Tensor, dim: Any = (), keepdim: bool = False) -> Value:
        return self._reduced("max", shape, source, dim)

    def _reduced(self, function: str, shape: Iterable[int], source: Tensor, dim: Any) -> Value:
        axes = range(source.dim()) if dim in (None, [], ()) else _listed(dim)
        return self._reduced_value(function, shape, self.value(source), axes)

    def _reduced_value(self, function: str, shape: Iterable[int], value: Value, axes: Iterable[int]) -> Value:
        """Over any axes: these are moved behind the others first."""
        sizes, last = value.shape, sorted({axis % len(value.shape) for axis in axes})
        stay = [axis for axis in range(len(sizes)) if axis not in last]
        order = (*stay, *last)
        if [axis for axis in order if sizes[axis] > 1] != [axis for axis in range(len(sizes)) if sizes[axis] > 1]:
            value = new_node("permute", [value], [sizes[axis] for axis in order], axes=order)
        rows = int(np.prod([sizes[axis] for axis in stay], dtype=np.int64))
        flat = reshaped(value, (rows, value.size // rows))
        return reshaped(new_node("reduce", [flat], (rows, 1), function=function), shape)

    def _var(
        self, shape: tuple[int, ...], source: Tensor, dim: Any = None, *, correction: float = 1, keepdim: bool = False
    ) -> Value:
        if correction:
            raise self._unknown("var with a correction")
        axes = range(source.dim()) if dim is None else _listed(dim)
        kept = [1 if axis in {a % source.dim() for a in axes} else size for axis, size in enumerate(source.shape)]
        mean = reshaped(self._reduced("mean", tuple(kept), source, dim), kept)
        apart = self._binary("sub", self.value(source), mean, source.shape)
        squares = self._binary("mul", apart, apart, source.shape)
        return self._reduced_value("mean", shape, squares, axes)

    def _log_softmax(self, shape: tuple[int, ...], source: Tensor, dim: int, half: bool) -> Value:
        if dim % source.dim() != source.dim() - 1:
            raise self._unknown("log_softmax over another axis than the last")
        flat = reshaped(self.value(source), (source.numel() // shape[-1], shape[-1]))
        highest = new_node("reduce", [flat], (flat.shape[0], 1), function="max")
        below = self._binary("sub", flat, highest, flat.shape)
        powers = new_node("elementwise", [below], flat.shape, function="exp")
        total = new_node("reduce", [powers], (flat.shape[0], 1), function="sum")
        nats = new_node("elementwise", [total], total.shape, function="log")
        return reshaped(self._binary("sub", below, nats, flat.shape), shape)

    def _native_batch_norm(
        self, shape: tuple[int, ...], source: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor,
        training: bool, momentum: float, eps: float,
    ) -> Value:  # fmt: skip
        factor = weight / torch.sqrt(var + eps)
        ones = [1] * (source.dim() - 2)
        scaled = self._binary("mul", self.value(source), self.value(factor.reshape(-1, *ones)), shape)
        return self._binary("add", scaled, self.value((bias - mean * factor).reshape(-1, *ones)), shape)

    def _native_layer_norm(
        self, shape: tuple[int, ...], source: Tensor, normalised: Any, weight: Tensor | None, bias: Tensor | None,
        eps: float,
    ) -> Value:  # fmt: skip
        if len(normalised) != 1:
            raise self._unknown("layer norm over several axes")
        flat = reshaped(self.value(source), (source.numel() // shape[-1], shape[-1]))
        mean = new_node("reduce", [flat], (flat.shape[0], 1), function="mean")
        value = self._binary("sub", flat, mean, flat.shape)
        squares = self._binary("mul", value, value, flat.shape)
        variance = new_node("reduce", [squares], mean.shape, function="mean")
        variance = self._binary("add", variance, self.value(eps), mean.shape)
        value = self._binary("div", value, new_node("elementwise", [variance], mean.shape, function="sqrt"), flat.shape)
        value = value if weight is None else self._binary("mul", value, self.value(weight), flat.shape)
        value = value if bias is None else self._binary("add", value, self.value(bias), flat.shape)
        return reshaped(value, shape)

    def _convolution(
        self, shape: tuple[int, ...], source: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
        dilation: Any, transposed: bool, output_padding: Any, groups: int,
    ) -> Value:  # fmt: skip
        if transposed or groups != 1 or source.dim() != 4 or len(source) != 1 or set(dilation) != {1}:
            raise self._unknown("convolution of this form")
        numbers = torch.arange(source.numel()).reshape(source.shape)
        sides = [padding[1], padding[1], padding[0], padding[0]]
        numbers = torch.constant_pad_nd(numbers, sides, source.numel())
        high, wide = weight.shape[2:]
        windows = numbers.unfold(2, high, stride[0]).unfold(3, wide, stride[1])  # [1, C, h, w, high, wide]
        index = windows.permute(0, 2, 3, 1, 4, 5).reshape(shape[2] * shape[3], -1).numpy()
        value = reshaped(self.value(source), (source.numel(),))
        if any(sides):
            zero = constant(np.zeros(1, dtype=np.float32))
            value = new_node("concat", [value, zero], (source.numel() + 1,), axis=0)
        flat = weight.flatten(1).t().contiguous()
        product = new_node("matmul", [picked(value, index), self.value(flat)], (len(index), len(weight)))
        if bias is not None:
            product = self._binary("add", product, self.value(bias), product.shape)
        turned = product
        if min(product.shape) > 1:
            turned = new_node("permute", [product], product.shape[::-1], axes=(1, 0))
        return reshaped(turned, shape)


def _listed(dim: Any) -> list[int]:
    return [dim] if isinstance(dim, int) else list(dim)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _tensors(parts: Any) -> Iterable[Tensor]:
    if isinstance(parts, Tensor):
        yield parts
    elif isinstance(parts, dict):
        yield from _tensors(list(parts.values()))
    elif isinstance(parts, (tuple, list)):
        for part in parts:
            yield from _tensors(part)
