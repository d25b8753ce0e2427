"""Time sampling from a model of events on one core, beside a loop over torch.nn.LSTM with the same weights.

    python benchmarks/generation.py [--json]

Two layers of 512 units over 300 tokens, random weights. Both sides embed the last token, take a step, and draw the next
token from the softmax by the same generator, so they must draw the same tokens; the benchmark stops where they do not.

    generate_b1, generate_b64     time of the loop over nn.LSTM / ours, one piece or 64 at once; above 1 ours is faster
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from _interleaved import interleave, report
from torch import Tensor, nn

from seqaudio.layers import from_torch
from seqaudio.models.events import EventModel
from seqaudio.models.sampler import Sampler
from seqaudio.vocabulary import BOS

TOKENS, WIDTH, LAYERS = 300, 512, 2
STEPS = {1: 100, 64: 40}  # of a round, by the number of pieces


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A token for each row of logits [B, V]."""
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


@torch.no_grad()
def ours(sampler: Sampler, pieces: int, steps: int) -> Tensor:
    """Tokens [steps, B] by the steps of the model's sampler."""
    generator, state = torch.Generator().manual_seed(1), sampler.initial_state(pieces)
    tokens = [torch.full((pieces,), BOS)]
    for _ in range(steps):
        logits, state = sampler.step(tokens[-1], state)
        tokens.append(draw(logits, generator))
    return torch.stack(tokens[1:])


@torch.no_grad()
def plain(embedding: nn.Embedding, lstm: nn.LSTM, output: nn.Linear, pieces: int, steps: int) -> Tensor:
    """The same by calls of nn.LSTM with one step each."""
    generator, state = torch.Generator().manual_seed(1), None
    tokens = [torch.full((pieces,), BOS)]
    for _ in range(steps):
        outputs, state = lstm(embedding(tokens[-1])[None], state)
        tokens.append(draw(output(outputs[0]), generator))
    return torch.stack(tokens[1:])


def main() -> None:
    """Compare for one piece and for 64, and print."""
    torch.set_num_threads(1)
    # from now on malloc keeps blocks of that size, which nn.LSTM takes at each step; otherwise it spends half its time
    # on page faults, or not, depending on what was freed before
    _ = torch.ones(31 * 2**18)
    del _
    torch.manual_seed(1)
    model = EventModel(TOKENS, embedding_size=WIDTH, hidden_size=WIDTH, layers=LAYERS).eval()
    lstm = nn.LSTM(WIDTH, WIDTH, LAYERS).eval()
    model.layers = from_torch(lstm)
    sampler = model.sampler()
    ratios, absolute = {}, {}
    for pieces, steps in STEPS.items():
        sides: dict[str, Callable[[], Tensor]] = {
            "ours": lambda pieces=pieces, steps=steps: ours(sampler, pieces, steps),  # type: ignore[misc]
            "plain": lambda pieces=pieces, steps=steps: plain(model.embedding, lstm, model.output, pieces, steps),  # type: ignore[misc]
        }
        same = sides["ours"]() == sides["plain"]()
        if not same.all():
            raise SystemExit(f"error: the two sides drew other tokens in {int((~same).sum())} of {same.numel()} places")
        seconds = interleave(sides, rounds=9)
        ratios[f"generate_b{pieces}"] = statistics.median(
            b / a for a, b in zip(seconds["ours"], seconds["plain"], strict=True)
        )
        for name, times in seconds.items():
            absolute[f"{name}_b{pieces}_step"] = 1000 * statistics.median(times) / steps
    report("Sampling from two layers of LSTM with 512 units, a step", ratios, absolute)


if __name__ == "__main__":
    main()
