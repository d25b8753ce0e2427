"""Every cell's step as an ONNX graph, its state among inputs and outputs, gives the cell's numbers in onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from seqaudio.cells import CELLS, WRAPPERS, Cell, build_cell
from seqaudio.state import flatten, unflatten

# torch's exporter against torch's own pytree
pytestmark = pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning")

F, H = 3, 3  # equal, since a residual connection asks for it
SEED = 8
WRAPPED = [
    "lstm+zoneout=0.1,0.5",
    "gru+variational_dropout=0.2,0.3+residual",
    "gru+weight_drop=0.5",
    "layer_norm_lstm+reset",
]
QUICK = ("lstm", "gru", "lstm+zoneout=0.1,0.5")  # an export takes seconds: the others are for the long tests
SPECS = [pytest.param(spec, marks=() if spec in QUICK else pytest.mark.slow) for spec in (*CELLS, *WRAPPED)]


class Step(nn.Module):
    """A cell over flat tensors: (inputs, *state) -> (outputs, *next state), as a graph has them."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        like = self.cell.zero_state(1)
        outputs, next_state = self.cell(inputs, unflatten(like, dict(zip(flatten(like), state, strict=True))))
        return outputs, *flatten(next_state).values()


def export(cell: Cell) -> onnxruntime.InferenceSession:
    """The step of a cell as onnxruntime runs it, for any number of rows."""
    state = flatten(cell.initial_state(2))
    rows = {0: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        Step(cell).eval(),
        (torch.randn(2, cell.input_size), *state.values()),
        input_names=["inputs", *state],
        output_names=["outputs", *(f"next_{name}" for name in state)],
        dynamic_shapes=(rows, (rows,) * len(state)),
        dynamo=True,
        verbose=False,
    )
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString())


def test_every_wrapper_is_among_the_exported():
    assert {name for name in WRAPPERS if WRAPPERS[name].__module__.startswith("seqaudio.")} == {
        part.partition("=")[0] for spec in WRAPPED for part in spec.split("+")[1:]
    }


@pytest.mark.parametrize("spec", SPECS)
def test_a_chain_of_exported_steps_gives_the_numbers_of_the_cell(spec):
    torch.manual_seed(SEED)
    cell = build_cell(spec, F + ("reset" in spec), H).eval()
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.6)  # biases differ from zero too
    session = export(cell)
    for rows in (1, 2, 5):
        state = cell.initial_state(rows)
        theirs = {name: tensor.numpy() for name, tensor in flatten(state).items()}
        for step in range(4):
            frames = torch.randn(rows, cell.input_size)
            if "reset" in spec:
                frames[:, -1] = torch.arange(rows) == step  # another row starts anew at each step
            with torch.no_grad():
                expected, state = cell(frames, state)
            outputs, *after = session.run(None, {"inputs": frames.numpy(), **theirs})
            theirs = dict(zip(theirs, after, strict=True))
            np.testing.assert_allclose(outputs, expected, atol=1e-5)
            for name, tensor in flatten(state).items():
                np.testing.assert_allclose(theirs[name], tensor, atol=1e-5, err_msg=name)
