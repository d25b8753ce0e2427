"""The net of a keyword run in integers of 8 bits, of the operations that ESPHome's `micro_wake_word` has.

    input [1, k, 40]    k frames of the device's front end; the net takes the last
    filters, projection to the width of the layers
    GRU                 its state h is kept as g = (h + 1) / 2, which needs no tanh:
                            tanh(x) = 2 sigmoid(2 x) - 1, so  n = 2 s - 1,  g' = g + (1 - z) (s - g)
    output [1, 1]       (log odds + 15) / 30, whose mean over a window is what `seqaudio listen` compares

Neither tanh nor a subtraction, a division or a softmax is registered there, and no operation turns 8 bits into 16. With
two reject labels the log odds are the lower one of those against each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor as Torch

from seqaudio.cells.gru import GRUCell, GRUState
from seqaudio.decoding.spotting import MOST_ODDS, keywords_of
from seqaudio.errors import RunError
from seqaudio.export.tflite_file import RELU, VALID, Program, Tensor, file_of
from seqaudio.features import FeatureSettings, feature_settings
from seqaudio.layers import Unrolled
from seqaudio.models import SpotterModel
from seqaudio.models.filter_sizes import KERNEL, STRIDE
from seqaudio.vocabulary import Vocabulary

CHANNELS = 40  # of the device's front end
PER_UNIT = 10.0  # the device's features for 1 of ours, see `seqaudio/models/pcan.py`
INPUT = (666.0 / 256.0 * 10.0 / 256.0, -128)  # scale and zero of the device's features, which ESPHome fixes
# scale and zero of integers of 8 bits
SHARE = (2.0**-8, -128)  # of values between 0 and 1; the sigmoid has no other
GATE = (2.0**-4, 0)  # of sums in front of a sigmoid: up to 8, beyond which it is 0 or 1
LEAST_SUM = 8.0  # to which sums in front of tanh may go, at least
STEPPED = 2_000  # frames on which their ranges are found
STEP = (2.0**-7, 0)  # of differences of shares
FINE = (2.0**-14, 0)  # of what is less than one STEP
REST = (2.0**-13, 0)  # of what is left when a share is rounded
MOST = 127
ARENA_SHARE = 1024  # bytes to which an arena is rounded up


class Ranges(NamedTuple):
    """The largest value of what is kept in 8 bits, and the least."""

    filtered: float
    projected: tuple[float, float]
    candidates: list[tuple[float, ...]]  # of each layer, twice the sums of inputs and of states in front of tanh

    @property
    def width(self) -> float:
        """From the least to the largest projected value."""
        return max(self.projected[1] - self.projected[0], 1e-6)


@dataclass(frozen=True)
class MicroNet:
    """A model that can be written, and what its words need.

    Raises RunError, in one line, where the features or the model do not fit.
    """

    model: SpotterModel  # in evaluation mode, of unrolled layers
    labels: Vocabulary
    settings: FeatureSettings
    path: str  # of the run, for messages

    def __post_init__(self) -> None:
        expected = feature_settings("micro")
        if not self.model.pcan or self.settings != expected or not float(self.model.pcan).is_integer():
            raise RunError(
                f"{self.path}: has other features than microcontrollers; train with seqaudio wake --micro, or on a "
                f"store with --features micro and with --pcan"
            )
        if not self.model.reads:
            raise RunError(f"{self.path}: was trained with --filters 0, expected filters in front of the net")
        if any(type(cell) is not GRUCell for cell in self.cells):
            raise RunError(f"{self.path}: has other cells than gru, of which the net for microcontrollers is made")
        if len(keywords_of(self.labels)) != 1 or len(self.labels) not in (2, 3):
            raise RunError(
                f"{self.path}: knows {', '.join(keywords_of(self.labels))}, expected one word beside unknown and "
                f"silence; make one run for each word"
            )

    @property
    def cells(self) -> list[Any]:
        """The cells of the layers."""
        layers: Any = self.model.layers.layers
        return [layer.cell if isinstance(layer, Unrolled) else layer for layer in layers]

    @property
    def stride(self) -> int:
        """Frames of the device a call."""
        return int(self.model.pcan)

    @property
    def word(self) -> str:
        """The keyword."""
        return keywords_of(self.labels)[0]

    def filtered(self, seen: Torch) -> Torch:
        """The filters' outputs [1, filters, positions] of KERNEL frames [KERNEL, F]."""
        model = self.model
        return torch.relu(model.filter_norm(model.filters(seen[None, None])))[:, :, 0]

    def odds(self, logits: np.ndarray) -> np.ndarray:
        """Log odds of the word, [...] of logits [..., C], against the likelier of the others."""
        place = self.labels.index(self.word)
        others = np.delete(logits, place, axis=-1)
        return np.asarray(logits[..., place] - others.max(axis=-1))

    @torch.no_grad()
    def step(self, frame: Torch, state: Any) -> tuple[Torch, Any]:
        """One step in float, from a frame [1, F] of the device: the reference of the check."""
        past, layers, mean = state
        seen = torch.cat([past, frame])
        hidden, layers = self.model.layers.step(self.model.projection(self.filtered(seen).flatten(1)), layers)
        decay = self.model.pooling_decay
        mean = decay * mean + (1.0 - decay) * hidden
        return self.model.output(mean), (seen[1:], layers, mean)

    def start(self, begun: Any) -> Any:
        """The state for `step` of a state of the model."""
        return begun.past[0], begun.layers, begun.outputs / begun.steps

    @torch.no_grad()
    def ranges(self, frames: Torch, begun: Any) -> Ranges:
        """Of recordings one behind the other, as frames [T, F] of the device; of the cells over the first of them."""
        seen = torch.cat([frames.new_zeros(KERNEL - 1, frames.shape[1]), frames])
        model = self.model
        maps = torch.relu(model.filter_norm(model.filters(seen[None, None]))).transpose(1, 2)[0]
        projected = model.projection(maps.flatten(1))
        hidden = [layer.hidden for layer in begun.layers]
        most = [[LEAST_SUM, LEAST_SUM] for _ in self.cells]
        for values in projected[:STEPPED, None]:
            for number, cell in enumerate(self.cells):
                parts = cell.from_inputs(values)[-1], cell.from_hidden(hidden[number])[-1]
                found = zip(most[number], parts, strict=True)
                most[number] = [max(kept, 2.0 * float(part.abs().max())) for kept, part in found]
                values, after = cell(values, GRUState(hidden[number]))
                hidden[number] = after.hidden
        return Ranges(float(maps.max()), (float(projected.min()), float(projected.max())), [tuple(two) for two in most])


def write_net(net: MicroNet, ranges: Ranges, begun: Any, description: str) -> tuple[bytes, int]:
    """The bytes of the file, and those of the arena that it needs at most. begun: the model's state at the start."""
    writer = _Writer(net, ranges)
    writer.write(begun)
    return file_of([writer.main, writer.once], description), writer.arena()


class _Writer:
    """Appends the operations of a net."""

    def __init__(self, net: MicroNet, ranges: Ranges) -> None:
        self.net, self.ranges = net, ranges
        self.main, self.once = Program("main"), Program("once")
        self.main.add("call_once", (), (), {0: 1})
        self._constants: dict[bytes, Tensor] = {}
        self._count = 0

    def write(self, begun: Any) -> None:
        """All operations of a call."""
        net, model = self.net, self.net.model
        inputs = Tensor("input", (1, net.stride, CHANNELS), "int8", (INPUT[0],), INPUT[1])
        self.main.inputs = (inputs,)
        frame = self.slice(inputs, 1, net.stride - 1, net.stride) if net.stride > 1 else inputs
        frame = self.reshape(frame, (1, 1, CHANNELS, 1))
        margin = KERNEL // 2
        padded = self.like(frame, (1, 1, CHANNELS + 2 * margin, 1))
        sides = self.numbers(np.array([[0, 0], [0, 0], [margin, margin], [0, 0]]))
        self.main.add("pad", (frame, sides), (padded,))
        past, layers, mean = net.start(begun)
        quiet = np.pad(past.double().numpy() * PER_UNIT, ((0, 0), (margin, margin)))[None, :, :, None]
        handle, before = self.variable("past", self.like(padded, (1, KERNEL - 1, CHANNELS + 2 * margin, 1)), quiet)
        seen = self.like(padded, (1, KERNEL, CHANNELS + 2 * margin, 1))
        self.main.add("concatenation", (before, padded), (seen,), {0: 1})
        self.main.add("assign_variable", (handle, self.slice(seen, 1, 1, KERNEL)), ())
        values = self.projected(self.filtered(seen))
        for number, cell in enumerate(net.cells):
            values = self.gru(values, cell, layers[number].hidden, number)
        if model.pooling_decay:
            values = self.pooled(values, mean)
        self.main.outputs = (self.answer(values),)

    def filtered(self, seen: Tensor) -> Tensor:
        """The filters, with their norm inside, rectified: [1, 1, positions, filters]."""
        model = self.net.model
        norm = model.filter_norm
        assert norm.running_var is not None and norm.running_mean is not None
        factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = (model.filters.weight.double()[:, 0] * factor[:, None, None] / PER_UNIT)[..., None].numpy()
        bias = (model.filters.bias.double() - norm.running_mean.double()) * factor + norm.bias.double()  # type: ignore[union-attr]
        scales = _scales(np.abs(weight).max(axis=(1, 2, 3)), bias.numpy(), seen.scale)
        weights = self.constant(weight / scales[:, None, None, None], "int8", scales)
        biases = self.constant(bias.numpy() / (scales * seen.scale), "int32", scales * seen.scale)
        positions = (CHANNELS - 1) // STRIDE + 1
        result = self.tensor((1, 1, positions, len(weight)), "int8", max(self.ranges.filtered, 1e-6) / 255, -128)
        options = {0: VALID, 1: STRIDE, 2: 1, 3: RELU, 4: 1, 5: 1}
        self.main.add("conv_2d", (seen, weights, biases), (result,), options)
        return self.reshape(result, (1, positions * len(weight)))

    def projected(self, values: Tensor) -> Tensor:
        """The projection to the width of the layers, shifted and scaled to 0 .. 1."""
        layer = self.net.model.projection
        filters = self.net.model.filters.out_channels
        weight = layer.weight.double().view(len(layer.weight), filters, -1).transpose(1, 2).flatten(1).numpy()
        low, width = self.ranges.projected[0], self.ranges.width
        return self.product(values, weight / width, (layer.bias.double().numpy() - low) / width, *SHARE)

    def gru(self, values: Tensor, cell: GRUCell, hidden: Torch, number: int) -> Tensor:
        """One step of a layer, whose input and state are between 0 and 1."""
        size = cell.output_size
        W, U = cell.weight_ih.double().numpy(), cell.weight_hh.double().numpy()
        b, c = cell.bias_ih.double().numpy(), cell.bias_hh.double().numpy()
        low, width = (-1.0, 2.0) if number else (self.ranges.projected[0], self.ranges.width)
        W, b = width * W, b + low * W.sum(axis=1)
        U, c = 2.0 * U, c - U.sum(axis=1)
        r, z, n = (slice(place * size, (place + 1) * size) for place in range(3))
        state = _Slow(self, f"state{number}", (hidden.double().numpy() + 1.0) / 2.0)
        both = self.tensor((1, cell.input_size + size), "int8", *SHARE)
        self.main.add("concatenation", (values, state.before), (both,), {0: 1})
        reset = self.sigmoid(self.product(both, np.hstack([W[r], U[r]]), b[r] + c[r], *GATE))
        # one minus the update gate, as a sigmoid of the negative sum
        moves = self.sigmoid(self.product(both, -np.hstack([W[z], U[z]]), -b[z] - c[z], *GATE))
        of_input, of_state = (most / MOST for most in self.ranges.candidates[number])
        x = self.product(values, 2.0 * W[n], 2.0 * b[n], of_input, 0)
        h = self.product(state.before, 2.0 * U[n], 2.0 * c[n], of_state, 0)
        candidate = self.sigmoid(self.two("add", x, self.two("mul", reset, h, of_state), *GATE))
        return state.moved(candidate, moves)

    def pooled(self, values: Tensor, mean: Torch) -> Tensor:
        """The decaying mean of (h + 1) / 2."""
        state = _Slow(self, "mean", (mean.double().numpy() + 1.0) / 2.0)
        return state.moved(values, self.filled(values.shape, 1.0 - self.net.model.pooling_decay))

    def answer(self, values: Tensor) -> Tensor:
        """(log odds + 15) / 30 in 8 bits without sign."""
        net = self.net
        layer = net.model.output
        place = net.labels.index(net.word)
        weight, bias = layer.weight.double().numpy(), layer.bias.double().numpy()
        span = 2 * MOST_ODDS
        odds = []
        for k in range(len(weight)):
            if k != place:
                w, b = 2.0 * (weight[place] - weight[k]) / span, (bias[place] - bias[k] + MOST_ODDS) / span
                odds.append(self.product(values, w[None], np.array([b - w.sum() / 2.0]), *SHARE))
        result = odds[0]
        if len(odds) == 2:  # min(a, b) = a - relu(a - b)
            above = self.two("add", odds[0], self.negative(odds[1]), *SHARE, activation=RELU)
            result = self.two("add", odds[0], self.negative(above), *SHARE)
        output = Tensor("output", (1, 1), "uint8", (SHARE[0],), 0)
        self.main.add("quantize", (result,), (output,))
        return output

    # --- one operation each ---

    def product(self, values: Tensor, weight: np.ndarray, bias: np.ndarray, scale: float, zero: int) -> Tensor:
        """weight @ values + bias."""
        by = _scales(np.abs(weight).max(keepdims=True)[0], np.abs(bias).max(keepdims=True), values.scale)
        weights = self.constant(weight / by, "int8", by)
        biases = self.constant(bias / (by * values.scale), "int32", by * values.scale)
        result = self.tensor((1, len(weight)), "int8", scale, zero)
        self.main.add("fully_connected", (values, weights, biases), (result,), {0: 0})
        return result

    def two(self, kind: str, one: Tensor, other: Tensor, scale: float, zero: int = 0, activation: int = 0) -> Tensor:
        """An elementwise operation."""
        result = self.tensor(one.shape, "int8", scale, zero)
        self.main.add(kind, (one, other), (result,), {0: activation})
        return result

    def negative(self, values: Tensor) -> Tensor:
        """The values times -1, as there is no subtraction."""
        return self.two("mul", values, self.filled(values.shape, -1.0), values.scale, -1 - values.zero)

    def filled(self, shape: tuple[int, ...], value: float) -> Tensor:
        """A constant of one value, at most 1."""
        key = f"{shape} {value}".encode()
        if key not in self._constants:
            scale = abs(value) / MOST
            self._constants[key] = self.constant(np.full(shape, value / scale), "int8", [scale])
        return self._constants[key]

    def sigmoid(self, values: Tensor) -> Tensor:
        result = self.tensor(values.shape, "int8", *SHARE)
        self.main.add("logistic", (values,), (result,))
        return result

    def requantised(self, values: Tensor, scale: float, zero: int) -> Tensor:
        result = self.tensor(values.shape, "int8", scale, zero)
        self.main.add("quantize", (values,), (result,))
        return result

    def slice(self, values: Tensor, axis: int, start: int, end: int) -> Tensor:
        """From `start` to `end` along an axis."""
        first, last = [0] * len(values.shape), list(values.shape)
        first[axis], last[axis] = start, end
        result = self.like(values, tuple(b - a for a, b in zip(first, last, strict=True)))
        parts = [self.numbers(np.array(part)) for part in (first, last, [1] * len(first))]
        self.main.add("strided_slice", (values, *parts), (result,), dict.fromkeys(range(5), 0))
        return result

    def reshape(self, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        result = self.like(values, shape)
        self.main.add("reshape", (values, self.numbers(np.array(shape))), (result,))
        return result

    def variable(self, name: str, like: Tensor, begun: np.ndarray) -> tuple[Tensor, Tensor]:
        """The handle of a state, and its value before this call; `begun` is that before the first."""
        handle, first = (Tensor(name, (), "resource") for _ in range(2))
        most = np.iinfo(like.dtype)
        integers = np.clip(np.rint(begun / like.scale) + like.zero, most.min, most.max).reshape(like.shape)
        content = Tensor(f"{name}_start", like.shape, like.dtype, like.scales, like.zero, integers)
        self.once.add("var_handle", (), (first,), {0: "", 1: name})
        self.once.add("assign_variable", (first, content), ())
        self.main.add("var_handle", (), (handle,), {0: "", 1: name})
        before = self.like(like, like.shape)
        self.main.add("read_variable", (handle,), (before,))
        return handle, before

    def tensor(self, shape: tuple[int, ...], dtype: str, scale: float, zero: int = 0) -> Tensor:
        self._count += 1
        return Tensor(f"t{self._count}", shape, dtype, (float(np.float32(scale)),), zero)

    def like(self, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A tensor of the same type and scale."""
        return self.tensor(shape, values.dtype, values.scale, values.zero)

    def numbers(self, values: np.ndarray) -> Tensor:
        """A constant of whole numbers, kept once."""
        key = repr(values.tolist()).encode()
        if key not in self._constants:
            self._constants[key] = Tensor(f"n{len(self._constants)}", values.shape, "int32", content=values)
        return self._constants[key]

    def constant(self, integers: np.ndarray, dtype: str, scales: Any) -> Tensor:
        """A constant of the nearest integers, within the range of their type."""
        most = np.iinfo(dtype)
        self._count += 1
        held = np.clip(np.rint(integers), most.min, most.max)
        return Tensor(f"c{self._count}", held.shape, dtype, tuple(float(np.float32(each)) for each in scales), 0, held)

    def arena(self) -> int:
        """Bytes that the device needs at most: states, all results as if none were reused, records of operations."""
        results = [part for each in self.main.operators for part in each.outputs]
        states = [part.inputs[1].bytes for part in self.once.operators if part.kind == "assign_variable"]
        tensors = len(self.main.tensors()) + len(self.once.tensors())
        total = sum(states) + sum(-(-part.bytes // 16) * 16 for part in (*self.main.inputs, *results))
        total += 32 * tensors + 128 * (len(self.main.operators) + len(self.once.operators))
        return -(-total // ARENA_SHARE) * ARENA_SHARE


def _scales(largest: np.ndarray, bias: np.ndarray, of_input: float) -> np.ndarray:
    """Scales of weights [N] from the largest of each; biases, which have 32 bits, fit too where weights are tiny."""
    scales: np.ndarray = np.maximum(np.maximum(largest / MOST, np.abs(bias) / (of_input * 2.0**30)), 1e-12)
    return scales


class _Slow:
    """A state between 0 and 1 that moves towards a target, in two integers of 8 bits: a share of 256, and the rest.

        g' = g + u (s - g)

    With 8 bits alone it would stand still where u (s - g) is below 1/512: with u = 0.02, a tenth below its target.
    """

    def __init__(self, writer: _Writer, name: str, begun: np.ndarray) -> None:
        self.writer = writer
        self.handle, self.before = writer.variable(name, writer.tensor(begun.shape, "int8", *SHARE), begun)
        rest = writer.tensor(begun.shape, "int8", *REST)
        self.rest_handle, self.rest = writer.variable(f"{name}_rest", rest, np.zeros(begun.shape))

    def moved(self, target: Tensor, by: Tensor) -> Tensor:
        """g' for target s and share u."""
        w = self.writer
        apart = w.two("add", target, w.negative(self.before), *STEP)
        fine = w.two("mul", by, apart, *FINE)  # all of a small move, and the first 1/128 of a large one
        large = w.two("add", w.two("mul", by, apart, *STEP), w.negative(fine), *STEP)
        rest = w.two("add", self.rest, fine, *REST)
        carried = w.requantised(rest, SHARE[0], 0)
        after = w.two("add", w.two("add", self.before, large, *SHARE), carried, *SHARE)
        w.main.add("assign_variable", (self.rest_handle, w.two("add", rest, w.negative(carried), *REST)), ())
        w.main.add("assign_variable", (self.handle, after), ())
        return after
