"""Models of piano rolls: exact likelihoods, dropout that lasts as long as it should, padding that counts nothing."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqaudio.batching import Batch
from seqaudio.cells import CELLS
from seqaudio.errors import OptionError, RunError
from seqaudio.models import RollModel, build_model
from seqaudio.models.frame_heads import FrameHead, NADEHead, NoteOdds, SigmoidHead, pitch_classes
from seqaudio.state import flatten
from seqaudio.tokens.roll import RollGrammar

T, B, N, H = 9, 4, 12, 7
LENGTHS = torch.tensor([9, 6, 1, 0])


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def model(head: str = "nade", **options: Any) -> RollModel:
    torch.manual_seed(0)
    return RollModel(N, head=head, nade_size=5, shared=3, **{"hidden_size": H, "layers": 2} | options).double().eval()  # type: ignore[arg-type]


def rolls(seed: int = 1, shape: tuple[int, ...] = (T, B, N), share: float = 0.3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=draw) < share).double()


def batch(seed: int = 1, lengths: Tensor = LENGTHS) -> Batch:
    targets = rolls(seed)
    inputs = torch.zeros_like(targets)
    inputs[1:] = targets[:-1]
    return Batch(inputs, lengths, targets=targets)


def every_frame(notes: int) -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=notes)), dtype=torch.float64)


def head(kind: type[FrameHead], notes: int) -> FrameHead:
    torch.manual_seed(3)
    made = NADEHead(6, notes, 5, shared=3) if kind is NADEHead else SigmoidHead(6, notes, shared=3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made.double()


# ---- likelihoods


@pytest.mark.parametrize("kind", [NADEHead, SigmoidHead])
def test_probabilities_of_all_frames_of_ten_notes_add_up_to_one(kind: type[FrameHead]) -> None:
    made, frames = head(kind, 10), every_frame(10)
    for outputs in torch.randn(3, 6).double():
        scores = made(outputs, rolls(1, (10,))).expand(len(frames), -1)
        assert math.isclose(made.nats(scores, frames).neg().exp().sum().item(), 1, abs_tol=1e-9)


def test_nade_follows_its_equations_note_by_note() -> None:
    made, frames, outputs = head(NADEHead, N), rolls(2, (20, N)), torch.randn(20, 6).double()
    frames[0], frames[1] = 0, 1
    last = rolls(3, (20, N))
    scores = made(outputs, last)
    torch.testing.assert_close(scores[:, :N], made.odds(outputs, last))
    for frame, output, score, got in zip(frames, outputs, scores, made.nats(scores, frames), strict=True):
        b, c = score[:N], made.hidden_bias.weight @ output + made.hidden_bias.bias
        expected = torch.zeros(())
        for i in range(N):
            hidden = torch.sigmoid(c + sum(frame[j] * made.weight_in[j] for j in range(i)))
            p = torch.sigmoid(b[i] + made.weight_out[i] @ hidden)
            expected = expected - (p if frame[i] else 1 - p).log()
        torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


def test_nade_gradients_agree_with_finite_differences() -> None:
    made, frames = head(NADEHead, 6), rolls(4, (5, 6))
    scores = made(torch.randn(5, 6).double(), rolls(3, (5, 6))).detach().requires_grad_()
    leaves = [weight.detach().clone().requires_grad_() for weight in (made.weight_in, made.weight_out)]
    del made.weight_in, made.weight_out

    def nats(scores: Tensor, weight_in: Tensor, weight_out: Tensor) -> Tensor:
        made.weight_in, made.weight_out = weight_in, weight_out
        return made.nats(scores, frames)

    assert torch.autograd.gradcheck(nats, (scores, *leaves))


def test_sigmoid_loss_is_the_binary_cross_entropy() -> None:
    net, given = model("sigmoid"), batch()
    total, count, _ = net.loss(given)
    scores, _ = net(given.inputs, lengths=LENGTHS)
    expected = sum(
        F.binary_cross_entropy_with_logits(scores[:length, row], given.targets[:length, row], reduction="sum").item()
        for row, length in enumerate(LENGTHS.tolist())
    )
    assert count == 16
    assert math.isclose(total.item(), expected, rel_tol=1e-12)


def test_log_odds_follow_their_equations_note_by_note() -> None:
    torch.manual_seed(3)
    made = NoteOdds(6, N + 4, 3).double()
    torch.nn.init.normal_(made.out)
    y, v = torch.randn(6).double(), rolls(4, (N + 4,))
    odds = made(y, v)
    for i in range(N + 4):
        around = torch.tensor([v[j] if 0 <= j < N + 4 else 0.0 for j in range(i - 14, i + 15)]).double()
        seen = torch.relu(made.around.weight @ around + made.around.bias + made.context.weight @ y)
        expected = made.own.weight[i] @ y + made.own.bias[i] + made.of_octaves.weight[i % 12] @ y + made.out @ seen
        torch.testing.assert_close(odds[i], expected, rtol=0, atol=1e-12)
    assert [name for name, _ in NoteOdds(6, N, 0).named_parameters()] == ["own.weight", "own.bias"]


def test_pitch_classes_count_the_octaves_of_a_note() -> None:
    frame = torch.zeros(2, 88)
    frame[0, [0, 12, 24, 5, 87]] = 1
    expected = torch.zeros(2, 12)
    expected[0, [0, 5, 3]] = torch.tensor([3.0, 1.0, 1.0])
    assert torch.equal(pitch_classes(frame), expected)


@pytest.mark.parametrize("kind", [NADEHead, SigmoidHead])
def test_samples_have_the_probabilities_of_the_likelihood(kind: type[FrameHead]) -> None:
    made, frames = head(kind, 4), every_frame(4)
    scores = made(torch.randn(6).double(), rolls(3, (4,)))
    draw = torch.Generator().manual_seed(5)
    drawn = made.sample(scores.expand(20_000, -1), generator=draw)
    shares = torch.stack([(drawn == frame).all(1).double().mean() for frame in frames])
    expected = made.nats(scores.expand(16, -1), frames).neg().exp()
    torch.testing.assert_close(shares, expected, atol=0.015, rtol=0)


@pytest.mark.parametrize("kind", [NADEHead, SigmoidHead])
def test_samples_obey_the_grammar_of_rolls(kind: type[FrameHead]) -> None:
    made, grammar = head(kind, 88), RollGrammar(2)
    draw = torch.Generator().manual_seed(5)
    for _ in range(12):
        legal = torch.from_numpy(grammar.legal())
        (frame,) = made.sample(torch.zeros(1, 93 if kind is NADEHead else 88).double(), 1.0, legal, draw)
        grammar.push(frame.numpy().astype(bool))  # raises ValueError for an illegal frame
    neither = torch.zeros(2, 88, dtype=torch.bool)
    with pytest.raises(ValueError, match="note 0 may neither be silent nor sound"):
        made.sample(torch.zeros(1, 93 if kind is NADEHead else 88).double(), legal=neither)


@pytest.mark.parametrize("kind", [NADEHead, SigmoidHead])
def test_cold_samples_take_the_likelier_value(kind: type[FrameHead]) -> None:
    made = head(kind, N)
    scores = made(torch.randn(30, 6).double(), rolls(3, (30, N)))
    cold = made.sample(scores, temperature=1e-6)
    assert torch.equal(cold, made.sample(scores, temperature=1e-6))
    other = cold.clone()
    other[:, -1] = 1 - cold[:, -1]  # of the highest note the likelihood alone tells which value is likelier
    assert (made.nats(scores, cold) < made.nats(scores, other)).all()


@pytest.mark.parametrize("name", ["sigmoid", "nade"])
def test_an_untrained_model_can_start_at_given_rates(name: str) -> None:
    rates = torch.rand(N).double() * 0.98 + 0.01
    net = model(name)
    net.head.set_rates(rates)
    with torch.no_grad():
        scores = net.head(torch.zeros(1, H).double(), torch.zeros(1, N).double())
        alone = net.head.nats(scores.expand(N, -1), torch.eye(N).double())
        silence = net.head.nats(scores, torch.zeros(1, N).double())
    if name == "sigmoid":
        torch.testing.assert_close(silence.item(), -(1 - rates).log().sum().item())
    # of one note alone against silence: the odds of the note, as far as the notes above it do not depend on it
    odds = (silence - alone).numpy()
    assert torch.tensor(odds).sub(rates.logit()).abs().max() < (1e-9 if name == "sigmoid" else 1.0)


# ---- sequences


@pytest.mark.parametrize(("cell", "name"), [*((cell, "sigmoid") for cell in CELLS), ("gru", "nade")])
def test_steps_equal_the_whole(cell: str, name: str) -> None:
    net, frames = model(name, cell=cell), rolls()
    whole, final = net(frames)
    state = net.initial_state(B)
    for t in range(T):
        scores, state = net.step(frames[t], state)
        torch.testing.assert_close(scores, whole[t], rtol=0, atol=1e-10)
    for key, tensor in flatten(state).items():
        torch.testing.assert_close(tensor, flatten(final)[key], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", list(CELLS))
def test_windows_equal_the_whole(cell: str) -> None:
    net, given = model(cell=cell), batch()
    total, count, _ = net.loss(given)
    parts, state = [], None
    for start, end in ((0, 4), (4, 5), (5, T)):
        loss, n, state = net.loss(given.slice_time(start, end), state)
        parts.append((loss, n))
    assert count == sum(n for _, n in parts) == int(LENGTHS.sum())
    torch.testing.assert_close(sum(loss for loss, _ in parts), total, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["sigmoid", "nade"])
def test_padding_and_other_rows_change_no_loss_and_no_gradient(name: str) -> None:
    net, given = model(name), batch()
    for filler in (0.0, 1.0, math.nan):
        inputs, targets = given.inputs.clone(), given.targets.clone()
        for row, length in enumerate(LENGTHS.tolist()):
            inputs[length:, row] = targets[length:, row] = filler
        net.zero_grad()
        together = net.loss(Batch(inputs, LENGTHS, targets=targets))[0]
        together.backward()
        gradients = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
        net.zero_grad()
        alone = sum(
            net.loss(
                Batch(inputs[:length, row : row + 1], torch.tensor([length]), targets=targets[:length, row : row + 1])
            )[0]
            for row, length in enumerate(LENGTHS.tolist())
            if length
        )
        alone.backward()
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
        for one, other in zip(gradients, net.parameters(), strict=True):
            torch.testing.assert_close(one, other.grad, rtol=0, atol=1e-10)


def test_weights_scale_the_loss_of_their_step() -> None:
    net, given = model(), batch()
    weights = torch.zeros(T, B, dtype=torch.float64)
    weights[2, 1] = 3.0
    total, _, _ = net.loss(Batch(given.inputs, LENGTHS, targets=given.targets, weights=weights))
    scores, _ = net(given.inputs, lengths=LENGTHS)
    torch.testing.assert_close(total, 3 * net.head.nats(scores[2, 1:2], given.targets[2, 1:2])[0])


def test_both_conventions_and_notes_are_counted() -> None:
    net, given = model(), batch()
    found = net.evaluate(given)
    scores, _ = net(given.inputs, lengths=LENGTHS)
    first = sum(net.head.nats(scores[0, row : row + 1], given.targets[0, row : row + 1]).item() for row in range(3))
    total, count = found["nats_per_frame"]
    later, of_later = found["nats_per_later_frame"]
    notes = sum(int(given.targets[:length, row].sum()) for row, length in enumerate(LENGTHS.tolist()))
    assert (count, of_later) == (16, 13)
    assert math.isclose(total - later, first, rel_tol=1e-10)
    assert found["nats_per_note"] == (total, notes)
    parts = [net.evaluate(given.slice_time(0, 4))]
    _, _, state = net.loss(given.slice_time(0, 4))
    parts.append(net.evaluate(given.slice_time(4, T), state))
    assert math.isclose(sum(part["nats_per_later_frame"][0] for part in parts), later, rel_tol=1e-10)
    silent = Batch(torch.zeros(1, 1, N).double(), torch.tensor([1]), targets=torch.zeros(1, 1, N).double())
    assert set(net.evaluate(silent)) == {"nats_per_frame"}, "without a later frame or a note there is no mean"


def test_next_frames_are_a_roll_and_the_same_for_the_same_generator() -> None:
    net = model()

    def sampled(seed: int) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        frame, state, made = torch.zeros(2, N).double(), net.initial_state(2), []
        for _ in range(5):
            frame, state = net.next_frame(frame, state, generator=draw)
            made.append(frame)
        return torch.stack(made)

    assert set(sampled(1).unique().tolist()) == {0.0, 1.0}
    assert torch.equal(sampled(1), sampled(1))
    assert not torch.equal(sampled(1), sampled(2))


# ---- dropout


def test_variational_dropout_keeps_one_mask_a_sequence() -> None:
    net = model(dropout=0.5, input_dropout=0.25).train()
    state = net.initial_state(200)
    assert [tuple(mask.shape) for mask in state.masks] == [(200, N), (200, H), (200, H)]
    for mask, share in zip(state.masks, (0.25, 0.5, 0.5), strict=True):
        assert set(mask.unique().tolist()) == {0.0, 1 / (1 - share)}
        assert mask.eq(0).double().mean().item() == pytest.approx(share, abs=0.05)
        assert len(mask.unique(dim=0)) > 3, "rows have masks of their own"
    frames = rolls(1, (T, 200, N))
    _, after = net(frames[:4], state)
    assert all(map(torch.equal, after.masks, state.masks)), "a window keeps the masks"
    dead = state.masks[0].eq(0)
    changed = torch.where(dead, 1 - frames, frames)  # notes that the mask hides, in all steps
    net.head = SigmoidHead(H, N).double()  # which does not see the last frame itself
    torch.testing.assert_close(net(changed, state)[0], net(frames, state)[0], rtol=0, atol=0)
    assert not torch.equal(net.initial_state(200).masks[0], state.masks[0]), "the next sequence has others"


def test_steps_equal_the_whole_while_training_with_one_mask() -> None:
    net, frames = model(dropout=0.5, input_dropout=0.25).train(), rolls()
    state = net.initial_state(B)
    whole, _ = net(frames, state)
    for t in range(T):
        scores, state = net.step(frames[t], state)
        torch.testing.assert_close(scores, whole[t], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "rru", "layer_norm_lstm", "lstm+zoneout"])
def test_weight_dropout_drops_recurrent_weights_alone(cell: str) -> None:
    net, frames = model(cell=cell, layers=1, weight_dropout=0.5), rolls()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    net.train()
    torch.manual_seed(5)
    dropped, _ = net(frames)
    again, _ = net(frames)
    assert not torch.equal(dropped, again), "each window has its own"
    torch.manual_seed(5)
    (weight,) = (parameter for name, parameter in net.named_parameters() if "weight_hh" in name)
    with torch.no_grad():
        weight.copy_(F.dropout(weight, 0.5))
    net.layers.weight_dropout = 0
    torch.testing.assert_close(net(frames)[0], dropped, rtol=0, atol=1e-10)


def test_dropped_weights_have_no_gradient_and_the_others_have() -> None:
    net = model(weight_dropout=0.5, cell="elman", layers=1).train()
    torch.manual_seed(5)
    net.loss(batch(lengths=torch.full((B,), T)))[0].backward()
    torch.manual_seed(5)
    weight = net.layers.layers[0].cell.weight_hh
    kept = F.dropout(torch.ones_like(weight), 0.5) > 0
    assert torch.equal(weight.grad != 0, kept)


def test_evaluation_drops_nothing() -> None:
    plain, net = model(), model(dropout=0.5, input_dropout=0.3, weight_dropout=0.5)
    net.load_state_dict(plain.state_dict())
    frames = rolls()
    torch.testing.assert_close(net(frames)[0], plain(frames)[0], rtol=0, atol=0)
    assert set(net.initial_state(3).masks[0].unique().tolist()) == {1.0}


def test_weight_dropout_without_recurrent_weights_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--weight-dropout drops recurrent weights .*MinGRUCell has none"):
        model(cell="min_gru", weight_dropout=0.5)


def test_arguments_out_of_their_range_are_refused() -> None:
    for wrong in ({"head": "softmax"}, {"notes": 0}, {"nade_size": 0}, {"weight_dropout": 2.0}):
        with pytest.raises(RunError, match="model 'rolls' does not take these arguments"):
            build_model("rolls", {"notes": N} | wrong)
    with pytest.raises(OptionError, match="no head is called 'softmax'; expected sigmoid or nade"):
        model("softmax")
