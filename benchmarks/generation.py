"""Time single steps of LSTMs and sampling from a model of events on one core, beside torch's and onnxruntime's.

    python benchmarks/generation.py [--json]

All sides have the same weights, and are compared to within rounding before they are timed.

    step_b1_128, step_b1_64     time of a loop over nn.LSTMCell / `Stack.stepper`: a step of 2 layers of 128 units, or
                                of one of 64, on one frame as wide
    generate_b1, generate_b64   time of a loop over nn.LSTM / the model's sampler: 2 layers of 512 units over 300
                                tokens, one piece or 64 at once; both embed the last token, take a step, and draw the
                                next token from the softmax by the same generator, so they must draw the same tokens
    ..._vs_onnx                 beside a graph of one step in onnxruntime, in place of nn.LSTM
    ..._int8                    with weights of int8 on our side alone; how much logits are off is printed

Above 1 ours is faster.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from _interleaved import interleave, report
from torch import Tensor, nn

from seqaudio.layers import Stack, from_torch
from seqaudio.models.events import EventModel
from seqaudio.models.sampler import Sampler
from seqaudio.state import State
from seqaudio.vocabulary import BOS

TOKENS, WIDTH, LAYERS = 300, 512, 2
STEPS = {1: 100, 64: 40}  # of a round, by the number of pieces
SMALL = {"step_b1_128": (2, 128), "step_b1_64": (1, 64)}  # layers and units
FRAMES = 2000  # of a round of small steps


class Cells(nn.Module):
    """The weights of nn.LSTM as cells."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(lstm.hidden_size, lstm.hidden_size) for _ in range(lstm.num_layers))
        for number, cell in enumerate(self.cells):
            cell.load_state_dict({name: getattr(lstm, f"{name}_l{number}") for name, _ in cell.named_parameters()})

    def run(self, frames: Tensor) -> Tensor:
        """The last outputs [1, H] of frames [T, 1, H]."""
        states: list[Any] = [None] * len(self.cells)
        for outputs in frames:
            for number, cell in enumerate(self.cells):
                states[number] = cell(outputs, states[number])
                outputs = states[number][0]
        return outputs


@torch.no_grad()
def stepped(stack: Stack, frames: Tensor, int8: bool = False) -> Callable[[], Tensor]:
    """The same by a stepper."""
    stepper = stack.stepper(int8=int8)

    def run() -> Tensor:
        state: State = stepper.initial_state(1)
        for frame in frames:
            outputs, state = stepper.step(frame, state)
        return outputs

    return run


class Onnx:
    """A step of a model of events as a graph: ids [B], h and c [layers, B, H] -> logits [B, V], the next h and c."""

    def __init__(self, model: EventModel, lstm: nn.LSTM) -> None:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        made: dict[str, Tensor] = {
            "embedding": model.embedding.weight,
            "V": model.output.weight,
            "bias": model.output.bias,
            "0": torch.tensor([0]),
            "1": torch.tensor([1]),
        }
        nodes = [
            helper.make_node("Gather", ["embedding", "ids"], ["x"]),
            helper.make_node("Unsqueeze", ["x", "0"], ["x0"]),
        ]
        for part in ("h", "c"):
            names = [f"{part}{number}" for number in range(LAYERS)]
            nodes.append(helper.make_node("Split", [part], names, num_outputs=LAYERS))
        for number in range(LAYERS):
            for name, ours in (("W", "weight_ih"), ("R", "weight_hh")):
                made[f"{name}{number}"] = _iofc(getattr(lstm, f"{ours}_l{number}"))[None]
            biases = [_iofc(getattr(lstm, f"{name}_l{number}")) for name in ("bias_ih", "bias_hh")]
            made[f"B{number}"] = torch.cat(biases)[None]
            given = [f"x{number}", f"W{number}", f"R{number}", f"B{number}", "", f"h{number}", f"c{number}"]
            nodes.append(
                helper.make_node("LSTM", given, [f"y{number}", f"h{number}_", f"c{number}_"], hidden_size=WIDTH)
            )
            nodes.append(helper.make_node("Squeeze", [f"y{number}", "1"], [f"x{number + 1}"]))
        for part in ("h", "c"):
            names = [f"{part}{number}_" for number in range(LAYERS)]
            nodes.append(helper.make_node("Concat", names, [f"{part}_"], axis=0))
        nodes.append(helper.make_node("Squeeze", [f"x{LAYERS}", "0"], ["last"]))
        nodes.append(helper.make_node("Gemm", ["last", "V", "bias"], ["logits"], transB=1))
        real, whole = TensorProto.FLOAT, TensorProto.INT64
        states = [helper.make_tensor_value_info(name, real, [LAYERS, "B", WIDTH]) for name in ("h", "c", "h_", "c_")]
        graph = helper.make_graph(
            nodes,
            "step",
            [helper.make_tensor_value_info("ids", whole, ["B"]), *states[:2]],
            [helper.make_tensor_value_info("logits", real, ["B", TOKENS]), *states[2:]],
            [numpy_helper.from_array(tensor.detach().numpy(), name) for name, tensor in made.items()],
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        self._session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])

    def initial_state(self, pieces: int) -> Any:
        zeros = torch.zeros(LAYERS, pieces, WIDTH).numpy()
        return zeros, zeros

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits, *state = self._session.run(None, {"ids": tokens.numpy(), "h": state[0], "c": state[1]})
        return torch.from_numpy(logits), state


def _iofc(weight: Tensor) -> Tensor:
    """Gates in the order of ONNX, from torch's input, forget, candidate, output."""
    i, f, g, o = weight.detach().chunk(4)
    return torch.cat([i, o, f, g])


class Plain:
    """The same by a call of nn.LSTM with one step."""

    def __init__(self, model: EventModel, lstm: nn.LSTM) -> None:
        self.embedding, self.lstm, self.output = model.embedding, lstm, model.output

    def initial_state(self, pieces: int) -> Any:
        return None

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.lstm(self.embedding(tokens)[None], state)
        return self.output(outputs[0]), state


@torch.no_grad()
def generate(side: Sampler | Onnx | Plain, pieces: int, steps: int) -> Tensor:
    """Tokens [steps, B] that are drawn one after the other."""
    generator, state = torch.Generator().manual_seed(1), side.initial_state(pieces)
    tokens = [torch.full((pieces,), BOS)]
    for _ in range(steps):
        logits, state = side.step(tokens[-1], state)
        tokens.append(torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0])
    return torch.stack(tokens[1:])


@torch.no_grad()
def logit_difference(side: Any, other: Any, steps: int) -> float:
    """The greatest difference of a logit over steps of tokens that the first draws."""
    tokens = [torch.tensor([BOS]), *generate(side, 1, steps)]
    states, greatest = [side.initial_state(1), other.initial_state(1)], 0.0
    for token in tokens:
        (a, states[0]), (b, states[1]) = side.step(token, states[0]), other.step(token, states[1])
        greatest = max(greatest, float((a - b).abs().max()))
    return greatest


def compare(
    sides: dict[str, Callable[[], object]],
    pairs: dict[str, tuple[str, str]],
    steps: int,
    suffix: str,
    ratios: dict[str, float],
    absolute: dict[str, float],
) -> None:
    """Time the sides, and add the ratio of each pair (rival, ours) and the milliseconds of a step."""
    seconds = interleave(sides, rounds=9)
    for name, (rival, ours) in pairs.items():
        ratios[name] = statistics.median(b / a for a, b in zip(seconds[ours], seconds[rival], strict=True))
    for name, times in seconds.items():
        absolute[f"{name}_{suffix}"] = 1000 * statistics.median(times) / steps


@torch.no_grad()
def main() -> None:
    """Compare small steps, and sampling of one piece and of 64, and print."""
    torch.set_num_threads(1)
    # from now on malloc keeps blocks of that size, which nn.LSTM takes at each step; otherwise it spends half its time
    # on page faults, or not, depending on what was freed before
    _ = torch.ones(31 * 2**18)
    del _
    torch.manual_seed(1)
    ratios: dict[str, float] = {}
    absolute: dict[str, float] = {}
    for name, (layers, width) in SMALL.items():
        lstm, frames = nn.LSTM(width, width, layers).eval(), torch.randn(FRAMES, 1, width)
        cells, stack = Cells(lstm), from_torch(lstm).eval()
        sides = {
            "cells": lambda cells=cells, frames=frames: cells.run(frames),
            "stepper": stepped(stack, frames),
            "stepper_int8": stepped(stack, frames, int8=True),
        }
        torch.testing.assert_close(sides["stepper"](), sides["cells"](), rtol=0, atol=1e-5)
        pairs = {name: ("cells", "stepper"), f"{name}_int8": ("cells", "stepper_int8")}
        compare(sides, pairs, FRAMES, name, ratios, absolute)

    model = EventModel(TOKENS, embedding_size=WIDTH, hidden_size=WIDTH, layers=LAYERS).eval()
    lstm = nn.LSTM(WIDTH, WIDTH, LAYERS).eval()
    model.layers = from_torch(lstm)
    model.eval()
    made: dict[str, Any] = {"ours": model.sampler(), "plain": Plain(model, lstm)}
    int8 = model.sampler(int8=True)
    try:
        made["onnx"] = Onnx(model, lstm)
    except ImportError as error:
        print(f"onnxruntime is skipped: {error}; pip install onnx onnxruntime", file=sys.stderr)
    for pieces, steps in STEPS.items():
        drawn = {name: generate(side, pieces, steps) for name, side in made.items()}
        for name, tokens in drawn.items():
            if not (same := tokens == drawn["ours"]).all():
                places = f"{int((~same).sum())} of {same.numel()} places"
                raise SystemExit(f"error: {name} and ours drew other tokens in {places}")
        names = [*made, "int8"] if pieces == 1 else [*made]
        sides = {
            name: lambda side={**made, "int8": int8}[name], pieces=pieces, steps=steps: generate(side, pieces, steps)
            for name in names
        }
        pairs = {}
        for ours in (name for name in ("ours", "int8") if name in sides):
            for rival in (name for name in ("plain", "onnx") if name in sides):
                ending = ("_int8" if ours == "int8" else "") + ("_vs_onnx" if rival == "onnx" else "")
                pairs[f"generate_b{pieces}{ending}"] = (rival, ours)
        compare(sides, pairs, steps, f"b{pieces}_step", ratios, absolute)
    if "--json" not in sys.argv:
        print(f"int8: logits are off by {logit_difference(made['ours'], int8, 300):.4f} at most, in 300 steps")
    report("Steps of LSTMs, and sampling from two layers with 512 units, a step", ratios, absolute)


if __name__ == "__main__":
    main()
