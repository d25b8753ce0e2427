"""Time a training step of a recogniser against a bare loop with nn.LSTM and ctc_loss on the same batches, taking turns.

    python benchmarks/ctc.py [--json]

Eight made-up recordings of about 2.6 s, 40 features, in batches of similar length as recipes make them; three frames a
step, two bidirectional LSTMs of 192 units, 28 symbols, dropout 0.2, AdamW. `ours_vs_padded` is the median over rounds
of our time / that of a loop that lets the backward direction read the padding, which is wrong but fast;
`ours_vs_packed` beside pack_padded_sequence, which is right. 1 is equal. Ours is without filters, as the loops are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _interleaved import interleave, ratio, report
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqaudio.batching import Batch
from seqaudio.models import Recogniser

FEATURES, UNITS, HIDDEN, LAYERS, STACKED, DROPOUT = 40, 28, 192, 2, 3, 0.2
ROWS, FRAMES, CHARACTERS, BATCHES = 8, 260, 20, 4


def batches() -> list[Batch]:
    """Recordings of similar length with texts."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for number in range(BATCHES):
        longest = FRAMES + 40 * number
        lengths = torch.randint(longest - 30, longest + 1, (ROWS,), generator=draw)
        lengths[0] = longest
        counts = torch.randint(CHARACTERS // 2, CHARACTERS + 1, (ROWS,), generator=draw)
        targets = torch.randint(1, UNITS, (CHARACTERS, ROWS), generator=draw)
        inputs = torch.randn(longest, ROWS, FEATURES, generator=draw)
        made.append(Batch(inputs, lengths, targets=targets, target_lengths=counts))
    return made


class Bare(nn.Module):
    """The same net as one would write it by hand."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.packed = packed
        self.lstm = nn.LSTM(STACKED * FEATURES, HIDDEN, LAYERS, bidirectional=True, dropout=DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(2 * HIDDEN, UNITS)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        assert batch.targets is not None
        assert batch.target_lengths is not None
        steps = batch.lengths // STACKED
        T, B, _ = batch.inputs.shape
        whole = batch.inputs[: T // STACKED * STACKED].view(-1, STACKED, B, FEATURES).transpose(1, 2).flatten(2)
        inputs = self.dropout(whole)
        if self.packed:
            outputs, _ = self.lstm(pack_padded_sequence(inputs, steps, enforce_sorted=False))
            outputs, _ = pad_packed_sequence(outputs)
        else:
            outputs, _ = self.lstm(inputs)
        logs = self.output(self.dropout(outputs)).log_softmax(-1)
        total = F.ctc_loss(logs, batch.targets.T, steps, batch.target_lengths, reduction="sum")
        return total, int(batch.target_lengths.sum())


def updates(model: nn.Module, loss: Callable[[Batch], tuple[Tensor, int]]) -> Callable[[], None]:
    """A function that makes an update with each batch."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = batches()

    def work() -> None:
        for batch in data:
            optimiser.zero_grad()
            total, count = loss(batch)
            (total / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()

    return work


def main() -> None:
    """Measure and print."""
    torch.manual_seed(1)
    ours = Recogniser(
        FEATURES, UNITS, hidden_size=HIDDEN, layers=LAYERS, subsampling=STACKED, filters=0, dropout=DROPOUT
    )
    padded, packed = Bare(packed=False), Bare(packed=True)
    rivals = {
        "ours": updates(ours, lambda batch: ours.loss(batch)[:2]),
        "padded": updates(padded, padded.loss),
        "packed": updates(packed, packed.loss),
    }
    seconds = interleave(rivals)
    report(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, an update with {ROWS} recordings",
        {f"ours_vs_{name}": ratio(seconds, "ours", name) for name in ("padded", "packed")},
        {name: 1000 * statistics.median(values) / BATCHES for name, values in seconds.items()},
    )


if __name__ == "__main__":
    main()
