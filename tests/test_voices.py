"""The model of voices: whole equals stepwise, padding never leaks, likelihoods add up, notes alone are scored."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.errors import OptionError, RunError
from seqaudio.models import VoicesModel, build_model
from seqaudio.state import select
from seqaudio.vocabulary import BOS, EOS

V, K, B, S = 9, 3, 4, 5
STEPS = torch.tensor([5, 2, 1, 0])
LENGTHS = 1 + K * STEPS


def model(cell: str = "gru", layers: int = 1, given: int = 1, dropout: float = 0.4) -> VoicesModel:
    torch.manual_seed(0)
    built = VoicesModel(V, K, given, embedding_size=4, cell=cell, hidden_size=6, layers=layers, dropout=dropout)
    return built.double().eval()


def batch(seed: int = 1) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, V, (K * S, B), generator=draw)
    inputs = torch.cat([torch.full((1, B), BOS), ids])
    targets = torch.cat([ids, torch.full((1, B), EOS)])
    for row, length in enumerate(LENGTHS.tolist()):
        inputs[length:, row] = targets[length:, row] = 0
        targets[length - 1, row] = EOS
    return Batch(inputs, LENGTHS, targets=targets)


def without_row(whole: Batch, row: int) -> Batch:
    length = int(whole.lengths[row])
    targets = None if whole.targets is None else whole.targets[:length, row : row + 1]
    return Batch(whole.inputs[:length, row : row + 1], whole.lengths[row : row + 1], targets=targets)


@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("lstm", 2), ("elman", 1)])
def test_steps_equal_the_whole(cell: str, layers: int) -> None:
    built, whole = model(cell, layers), batch()
    inputs = whole.inputs[:, :1].repeat(1, B)
    inputs[1:, 1:] = torch.randint(3, V, (K * S, B - 1), generator=torch.Generator().manual_seed(4))
    logits = built(inputs)
    state = built.initial_state(B)
    for t, tokens in enumerate(inputs):
        stepped, state = built.step(tokens, state)
        torch.testing.assert_close(stepped, logits[t], rtol=0, atol=1e-10)


def test_rows_step_alone_whatever_their_places() -> None:
    built, inputs = model(), batch().inputs[:, 0]
    state = built.initial_state(2)
    alone = built(inputs[:, None])[:, 0]
    logits = []
    for t in range(len(inputs) - 2):  # the second row begins two tokens later
        late = inputs[t - 2] if t >= 2 else inputs[0]
        if t == 2:  # begin anew
            state = select(torch.tensor([True, False]), state, built.initial_state(2))
        stepped, state = built.step(torch.stack([inputs[t], late]), state)
        torch.testing.assert_close(stepped[0], alone[t], rtol=0, atol=1e-10)
        logits.append(stepped[1])
    torch.testing.assert_close(torch.stack(logits[2:]), alone[: len(logits) - 2], rtol=0, atol=1e-10)


def test_padding_and_other_rows_never_leak() -> None:
    built, whole = model(), batch()
    total, count, _ = built.loss(whole)
    parts = [built.loss(without_row(whole, row)) for row in range(B)]
    assert count == sum(part[1] for part in parts) == int(LENGTHS.sum())
    torch.testing.assert_close(total, sum((part[0] for part in parts), torch.zeros((), dtype=torch.float64)))
    changed = whole.inputs.clone()
    changed[~whole.mask()] = 7
    torch.testing.assert_close(built.loss(Batch(changed, LENGTHS, targets=whole.targets))[0], total)


def test_a_token_depends_on_nothing_after_it() -> None:
    built, whole = model(), batch()
    inputs: Tensor = whole.inputs[:, :1]
    logits = built(inputs)
    for t in range(1, len(inputs)):
        other = inputs.clone()
        other[t:] = 3 + (other[t:] - 2) % (V - 3)
        torch.testing.assert_close(built(other)[:t], logits[:t], rtol=0, atol=0)


def test_notes_are_scored_without_given_tokens_and_ends() -> None:
    built, whole = model(given=1), batch()
    scores = built.evaluate(whole)
    assert whole.targets is not None
    logs = built(whole.inputs, LENGTHS).log_softmax(dim=-1).detach()
    means = []
    for row, steps in enumerate(STEPS.tolist()):
        places = [K * step + place for step in range(steps) for place in (1, 2)]
        nats = [-float(logs[t, row, whole.targets[t, row]]) for t in places]
        means += [sum(nats) / len(nats)] if nats else []
    total, count = scores["nats_per_note"]
    assert count == len(means) == 3
    assert total == pytest.approx(sum(means))
    assert scores["nats_per_event"] == (pytest.approx(float(built.loss(whole)[0].detach())), int(LENGTHS.sum()))


def test_an_untrained_net_is_about_as_good_as_guessing() -> None:
    total, count = model().evaluate(batch())["nats_per_event"]
    assert total / count == pytest.approx(math.log(V), abs=0.3)


def test_how_long_a_token_was_held_is_seen() -> None:
    built = model()
    held = [built(torch.tensor([BOS, *[5, 6, 7] * times])[:, None])[-1, 0] for times in (2, 3)]
    assert (held[0] - held[1]).abs().max() > 1e-4


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="got 6 inputs, expected 1 and 3 for each step"):
        model()(batch().inputs[:6])
    with pytest.raises(RunError, match="3 given tokens of 3"):
        build_model("voices", {"vocabulary_size": V, "step_tokens": 3, "given": 3})
    with pytest.raises(OptionError):
        build_model("voice", {})
