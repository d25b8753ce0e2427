"""Time fused layers against torch.nn, forward and backward; they take turns in one process.

    python benchmarks/cells.py [--json]

Ratios are ours / torch's (medians of 15 rounds): 1 is equal, below 1 is faster. Shapes (T, B, F, H):

    A = (100, 64, 40, 256)     fused_lstm, fused_gru, fused_elman, layer_norm_lstm, peephole_lstm, layer_norm_gru
    B = (100, 16, 40, 512)     layer_norm_lstm_b, peephole_lstm_b
    C = (500, 1, 64, 256)      layer_norm_lstm_c, peephole_lstm_c
    (1000, 16, 40, 256)        min_gru
    (64, 32, 32, 64)           small_gru, small_lstm, small_layer_norm_lstm, small_layer_norm_gru
    (100, 64, 40, 128)         the same with the suffix _128: a keyword model
    (250, 1, 40, 64)           the same with the suffix _row: one recording

LSTM kinds are measured against nn.LSTM, GRU kinds against nn.GRU, Elman against nn.RNN. `ragged_vs_plain` is a ragged
batch (mean length 0.75 T) against plain nn.LSTM on the padded tensor; `packed_vs_ragged` is pack_padded_sequence
against ours on the same batch: 2 means that packing takes twice as long. `resets_vs_plain` is an LSTM with the state of
one row reset at every other step, against plain nn.LSTM; `unrolled_lstm` is the loop of single steps. Small shapes run
on one thread, with the gradient of the outputs given; `small_gru_vs_torchrl` is our GRU / TorchRL's, if that is there.
"""

from __future__ import annotations

import functools
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from _interleaved import interleave, ratio, report
from torch import Tensor, nn

from seqaudio.cells import CELLS, LSTMCell
from seqaudio.layers import Unrolled, build_layer

SMALL = {"": (64, 32, 32, 64), "_128": (100, 64, 40, 128), "_row": (250, 1, 40, 64)}
A, B, C, LONG = (100, 64, 40, 256), (100, 16, 40, 512), (500, 1, 64, 256), (1000, 16, 40, 256)
TORCH_LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}
Rivals = dict[str, Callable[[], object]]


def training_step(call: Callable[[Tensor], Tensor], inputs: Tensor) -> Callable[[], None]:
    """A function that runs forward and backward on these inputs."""

    def work() -> None:
        call(inputs).square().mean().backward()

    return work


def frames(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape[:3], requires_grad=True)


def torch_layer(name: str, shape: tuple[int, ...], inputs: Tensor) -> Callable[[], None]:
    layer = TORCH_LAYERS[name](*shape[2:])
    return training_step(lambda x: layer(x)[0], inputs)


def our_layer(name: str, shape: tuple[int, ...], inputs: Tensor) -> Callable[[], None]:
    layer = build_layer(CELLS[name](*shape[2:]))
    return training_step(lambda x: layer(x)[0], inputs)


def lstms_on_ragged_rows(inputs: Tensor) -> Rivals:
    """Our layer on a padded ragged batch, torch's on the same batch packed, and our layer with resets."""
    T, rows, F = inputs.shape
    lengths = torch.randint(T // 2, T + 1, (rows,))
    lengths[0] = T
    resets = torch.zeros(T, rows, dtype=torch.bool)
    resets[torch.arange(0, T, 2), torch.randint(rows, (T // 2,))] = True
    ours, torchs = build_layer(LSTMCell(F, A[3])), nn.LSTM(F, A[3])

    def packed(x: Tensor) -> Tensor:
        sequence = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(torchs(sequence)[0])[0]

    return {
        "ragged_lstm": training_step(lambda x: ours(x, lengths=lengths)[0], inputs),
        "packed_lstm": training_step(packed, inputs),
        "resets_lstm": training_step(lambda x: ours(x, resets=resets)[0], inputs),
    }


def both_passes(call: Callable[[Tensor], Tensor], inputs: Tensor, gradient: Tensor) -> Callable[[], None]:
    """A function that runs forward and backward with this gradient of the outputs; a loss would cost as much."""

    def work() -> None:
        call(inputs).backward(gradient)

    return work


@functools.cache
def torchrl_gru() -> Any:
    """TorchRL's GRU in torch operations over time, [T, B, F] to [T, B, H]; None, and a line, where it is missing."""
    try:
        from torchrl.modules import GRU
    except ImportError as error:
        print(f"TorchRL is skipped: {error}; pip install torchrl", file=sys.stderr)
        return None

    class TimeMajor(nn.Module):
        def __init__(self, inputs: int, units: int) -> None:
            super().__init__()
            self.gru = GRU(inputs, units)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            outputs, hidden = self.gru(x.transpose(0, 1))
            return outputs.transpose(0, 1), hidden

    return TimeMajor


def small_layers(shape: tuple[int, ...]) -> Rivals:
    """Torch's LSTM and GRU and ours, with and without layer normalisation."""
    T, rows, F, H = shape
    x, gradient = frames(shape), torch.randn(T, rows, H)
    layers: dict[str, nn.Module] = {f"small_torch_{name}": TORCH_LAYERS[name](F, H) for name in ("lstm", "gru")}
    names = ("lstm", "gru", "layer_norm_lstm", "layer_norm_gru")
    layers |= {f"small_{name}": build_layer(CELLS[name](F, H)) for name in names}
    if torchrl_gru() is not None:
        layers["small_torchrl_gru"] = torchrl_gru()(F, H)
    return {name: both_passes(lambda x, layer=layer: layer(x)[0], x, gradient) for name, layer in layers.items()}  # type: ignore[misc]


def main() -> None:
    """Measure and print."""
    # from now on malloc keeps blocks of that size; otherwise either side spends half its time on page faults, or does
    # not, depending on what was freed before
    _ = torch.ones(31 * 2**18)
    del _
    torch.manual_seed(1)
    ratios: dict[str, float] = {}
    absolute: dict[str, float] = {}

    def measure(rivals: Rivals, suffix: str, compared: dict[str, tuple[str, str]]) -> None:
        seconds = interleave(rivals)
        ratios.update({name + suffix: ratio(seconds, *pair) for name, pair in compared.items()})
        absolute.update({name + suffix: 1000 * statistics.median(values) for name, values in seconds.items()})

    x = frames(A)
    rivals: Rivals = {f"torch_{name}": torch_layer(name, A, x) for name in TORCH_LAYERS}
    rivals |= {f"fused_{name}": our_layer(name, A, x) for name in TORCH_LAYERS}
    rivals |= {name: our_layer(name, A, x) for name in ("layer_norm_lstm", "peephole_lstm", "layer_norm_gru")}
    rivals |= lstms_on_ragged_rows(x)
    unrolled = Unrolled(LSTMCell(*A[2:]))
    rivals["unrolled_lstm"] = training_step(lambda x: unrolled(x)[0], x)
    compared = {f"fused_{name}": (f"fused_{name}", f"torch_{name}") for name in TORCH_LAYERS}
    compared |= {name: (name, "torch_lstm") for name in ("layer_norm_lstm", "peephole_lstm", "unrolled_lstm")}
    compared |= {
        "layer_norm_gru": ("layer_norm_gru", "torch_gru"),
        "ragged_vs_plain": ("ragged_lstm", "torch_lstm"),
        "packed_vs_ragged": ("packed_lstm", "ragged_lstm"),
        "resets_vs_plain": ("resets_lstm", "torch_lstm"),
    }
    measure(rivals, "", compared)

    for shape, suffix in ((B, "_b"), (C, "_c")):
        x = frames(shape)
        names = ("layer_norm_lstm", "peephole_lstm")
        rivals = {"torch_lstm": torch_layer("lstm", shape, x)} | {name: our_layer(name, shape, x) for name in names}
        measure(rivals, suffix, {name: (name, "torch_lstm") for name in names})

    x = frames(LONG)
    rivals = {"torch_gru_long": torch_layer("gru", LONG, x), "min_gru": our_layer("min_gru", LONG, x)}
    measure(rivals, "", {"min_gru": ("min_gru", "torch_gru_long")})

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for suffix, shape in SMALL.items():
        rivals = small_layers(shape)
        compared = {name: (name, f"small_torch_{name.split('_')[-1]}") for name in rivals if "torch" not in name}
        if "small_torchrl_gru" in rivals:
            compared["small_gru_vs_torchrl"] = ("small_gru", "small_torchrl_gru")
        measure(rivals, suffix, compared)
    torch.set_num_threads(threads)
    report(f"{torch.get_num_threads()} threads, torch {torch.__version__}", ratios, absolute)


if __name__ == "__main__":
    main()
