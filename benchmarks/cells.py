"""Fused layers beside torch.nn, forward and backward, in one process, taking turns.

    python benchmarks/cells.py [--json]

Ratios are ours / torch's (medians of 15 rounds): 1 is equal, below 1 is faster. `ragged_vs_plain` is a ragged batch
(mean length 0.75 T) against plain nn.LSTM on the padded tensor; `packed_vs_ragged` is pack_padded_sequence against
ours on the same batch: 2 means that packing takes twice as long.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from _interleaved import interleave, ratio, report
from torch import Tensor, nn

from seqaudio.cells import ElmanCell, GRUCell, LSTMCell
from seqaudio.layers import FusedElman, FusedGRU, FusedLSTM, Unrolled

T, B, F, H = 100, 64, 40, 256


def backward(call: Callable[[Tensor], Tensor], inputs: Tensor) -> Callable[[], None]:
    """Work of one training step on the same inputs."""

    def work() -> None:
        call(inputs).square().mean().backward()

    return work


def main() -> None:
    """Measure and print."""
    torch.manual_seed(1)
    inputs = torch.randn(T, B, F, requires_grad=True)
    lengths = torch.randint(T // 2, T + 1, (B,))
    lengths[0] = T
    packed_lstm = nn.LSTM(F, H)

    def packed(x: Tensor) -> Tensor:
        sequence = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(packed_lstm(sequence)[0])[0]

    plain = {"lstm": nn.LSTM(F, H), "gru": nn.GRU(F, H), "elman": nn.RNN(F, H)}
    ours = {"lstm": FusedLSTM(LSTMCell(F, H)), "gru": FusedGRU(GRUCell(F, H)), "elman": FusedElman(ElmanCell(F, H))}
    unrolled = Unrolled(LSTMCell(F, H))
    rivals: dict[str, Callable[[], object]] = {}
    for name in plain:
        rivals[f"torch_{name}"] = backward(lambda x, layer=plain[name]: layer(x)[0], inputs)
        rivals[f"fused_{name}"] = backward(lambda x, layer=ours[name]: layer(x)[0], inputs)
    rivals["ragged_lstm"] = backward(lambda x: ours["lstm"](x, lengths=lengths)[0], inputs)
    rivals["packed_lstm"] = backward(packed, inputs)
    rivals["unrolled_lstm"] = backward(lambda x: unrolled(x)[0], inputs)

    seconds = interleave(rivals)
    ratios = {f"fused_{name}": ratio(seconds, f"fused_{name}", f"torch_{name}") for name in plain}
    ratios["ragged_vs_plain"] = ratio(seconds, "ragged_lstm", "torch_lstm")
    ratios["packed_vs_ragged"] = ratio(seconds, "packed_lstm", "ragged_lstm")
    ratios["unrolled_lstm"] = ratio(seconds, "unrolled_lstm", "torch_lstm")
    absolute = {name: 1000 * statistics.median(values) for name, values in seconds.items()}
    title = f"T={T} B={B} F={F} H={H}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    report(title, ratios, absolute)


if __name__ == "__main__":
    main()
