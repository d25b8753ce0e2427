"""Which gradient each strategy computes: against oracles in float64 with weights fixed, step by step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from pairs import pairs_of
from seqaudio.batching import Batch
from seqaudio.bptt import CheckpointedBPTT, FullBPTT, Strategy, TruncatedBPTT, strategy_from
from seqaudio.bptt.strategies import Carried
from seqaudio.cells.wrappers import core_cell
from seqaudio.errors import OptionError
from seqaudio.models import EventModel, KeywordModel, Model
from seqaudio.state import State, detach, tensors

torch.set_num_threads(1)

T, B, V = 12, 3, 8
LENGTHS = torch.tensor([12, 9, 4])
TRUNCATED = [(1, 1), (4, 4), (5, 5), (12, 12), (1, 3), (2, 6), (4, 8), (3, 12), (5, 10)]


def model(cell: str = "lstm", dropout: float = 0.0) -> EventModel:
    """Two layers whose first states are parameters, and not zero."""
    torch.manual_seed(1)
    net = EventModel(V, 5, cell, hidden_size=6, layers=2, dropout=dropout).double()
    for layer in net.layers.layers:
        cell = core_cell(layer.cell)
        cell.learn_initial_state()
        for start in cell.start.values():
            torch.nn.init.normal_(start)
    return net.double()


def batch(resets: bool = False, steps: int = T, lengths: Tensor = LENGTHS) -> Batch:
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(3, V, (steps + 1, len(lengths)), generator=draw)
    mask = torch.rand(steps, len(lengths), generator=draw) < 0.2 if resets else None
    return Batch(ids[:-1], lengths, targets=ids[1:], resets=mask)


def gradients(strategy: Strategy, net: Model, batches: Batch | Iterable[Batch]) -> tuple[dict[str, Tensor], float, int]:
    """Summed gradients over all windows with the weights held fixed, the loss and its count."""
    net.zero_grad()
    carried: Carried | None = None
    total, count = 0.0, 0
    for number, data in enumerate([batches] if isinstance(batches, Batch) else batches):
        for window in strategy.windows(data, (0, number)):
            loss, n, carried = strategy.backward(net, window, carried)
            total, count = total + loss, count + n
    return taken(net), total, count


def taken(net: Model) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert any(gradient.any() for gradient in one.values())
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-10)


def brute_force(net: Model, data: Batch, advance: int, reach: int) -> tuple[dict[str, Tensor], float]:
    """A graph of its own for every step's loss, cut where the window that holds the step ends, less the reach."""
    net.zero_grad()
    total = 0.0
    for t in range(data.steps):
        window_end = (t // advance + 1) * advance
        state: State | None = None
        for s in range(t + 1):
            if s == window_end - reach and state is not None:
                state = detach(state)
            loss, _, state = net.loss(data.slice_time(s, s + 1), state)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return taken(net), total


# ---- truncated


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "elman+zoneout=0"])
def test_one_window_over_everything_equals_full(cell: str, resets: bool) -> None:
    net = model(cell)
    full, total, count = gradients(FullBPTT(), net, batch(resets))
    whole, other_total, other_count = gradients(TruncatedBPTT(T, T), net, batch(resets))
    assert count == other_count == int(LENGTHS.sum())
    assert total == pytest.approx(other_total, rel=1e-12)
    assert_equal(full, whole)


@pairs_of(cell=["elman", "lstm"], resets={"": False, "resets": True}, windows=TRUNCATED)
def test_truncated_equals_a_graph_a_step_cut_at_its_reach(cell: str, resets: bool, windows: tuple[int, int]) -> None:
    advance, reach = windows
    net, data = model(cell), batch(resets)
    truncated, total, count = gradients(TruncatedBPTT(advance, reach), net, data)
    oracle, expected = brute_force(net, data, advance, reach)
    assert count == int(LENGTHS.sum())
    assert total == pytest.approx(expected, rel=1e-12)
    assert_equal(truncated, oracle)


@pytest.mark.parametrize(("advance", "reach"), [(4, 4), (4, 8), (2, 8), (4, 12)])
def test_gradients_reach_over_the_borders_of_batches_that_continue(advance: int, reach: int) -> None:
    net, data = model("gru"), batch(resets=True)
    lanes = [data.slice_time(start, start + 4) for start in range(0, T, 4)]
    over_lanes, total, _ = gradients(TruncatedBPTT(advance, reach), net, lanes)
    oracle, expected = brute_force(net, data, advance, reach)
    assert total == pytest.approx(expected, rel=1e-12)
    assert_equal(over_lanes, oracle)


def test_each_further_window_of_reach_changes_the_gradient_and_never_the_loss() -> None:
    net = model("elman")
    seen = [gradients(TruncatedBPTT(3, reach), net, batch()) for reach in (3, 6, 9, 12)]
    assert len({round(total, 10) for _, total, _ in seen}) == 1
    assert {count for _, _, count in seen} == {int(LENGTHS.sum())}
    norms = {round(float(gradient["embedding.weight"].norm()), 10) for gradient, _, _ in seen}
    assert len(norms) == 4
    assert_equal(seen[-1][0], gradients(FullBPTT(), net, batch())[0])


def test_no_gradient_reaches_a_step_before_the_cut() -> None:
    """Each step reads a token of its own, so the embedding's rows tell which steps were reached."""
    torch.manual_seed(1)
    net = EventModel(T, 5, "elman", hidden_size=6).double()
    data = Batch(torch.arange(T)[:, None], torch.tensor([T]), targets=torch.zeros(T, 1, dtype=torch.int64))
    strategy = TruncatedBPTT(2, 6)
    carried, reached = None, []
    for window in strategy.windows(data):
        net.zero_grad()
        _, _, carried = strategy.backward(net, window, carried)
        assert net.embedding.weight.grad is not None
        reached.append(net.embedding.weight.grad.any(dim=1).nonzero().flatten().tolist())
    assert reached == [[*range(max(0, end - 6), end)] for end in (2, 4, 6, 8, 10, 12)]


def test_without_carrying_windows_are_strangers() -> None:
    net, data = model(), batch()
    zeroed, total, count = gradients(TruncatedBPTT(4, carry=False), net, data)
    alone = [gradients(FullBPTT(), net, data.slice_time(start, start + 4)) for start in range(0, T, 4)]
    assert_equal(zeroed, {name: sum(part[name] for part, _, _ in alone) for name in zeroed})  # type: ignore[misc]
    assert (total, count) == (pytest.approx(sum(loss for _, loss, _ in alone)), sum(n for _, _, n in alone))
    carried, other, _ = gradients(TruncatedBPTT(4), net, data)
    assert abs(other - total) > 1e-3
    assert any((carried[name] - zeroed[name]).abs().max() > 1e-3 for name in carried)


def test_what_is_carried_holds_no_graph() -> None:
    strategy, net = TruncatedBPTT(2, 6), model("gru")
    carried = None
    for window in strategy.windows(batch()):
        _, _, carried = strategy.backward(net, window, carried)
        assert not any(tensor.requires_grad for tensor in carried.tensors().values())
    assert carried is not None
    assert len(carried.rerun_windows) == 2


def test_windows_to_run_again_load_under_their_names_on_disk() -> None:
    strategy, net = TruncatedBPTT(2, 4), model("gru")
    _, _, carried = strategy.backward(net, next(strategy.windows(batch())), None)
    (window,) = carried.rerun_windows
    stored = {f"again.0.{name}": getattr(window, name) for name in ("inputs", "lengths", "targets")}
    (loaded,) = Carried.from_tensors(net, stored, "cpu").rerun_windows
    for name in ("inputs", "lengths", "targets"):
        assert torch.equal(getattr(loaded, name), getattr(window, name))


def test_what_is_carried_comes_back_from_named_tensors() -> None:
    strategy, net = TruncatedBPTT(2, 6), model("lstm")
    windows = list(strategy.windows(batch(resets=True)))
    carried = None
    for window in windows[:-1]:
        _, _, carried = strategy.backward(net, window, carried)
        named = carried.tensors()
        again = Carried.from_tensors(net, named, "cpu")
        assert again.tensors().keys() == named.keys()
        net.zero_grad()
        strategy.backward(net, windows[-1], carried)
        straight = taken(net)
        net.zero_grad()
        strategy.backward(net, windows[-1], again)
        assert_equal(straight, taken(net))


def test_a_window_is_cut_from_every_part_of_its_batch() -> None:
    data = dataclasses.replace(batch(resets=True), weights=torch.rand(T, B))
    windows = list(TruncatedBPTT(5).windows(data))
    assert [window.steps for window in windows] == [5, 5, 2]
    assert [window.lengths.tolist() for window in windows] == [[5, 5, 4], [5, 4, 0], [2, 0, 0]]
    for name in ("inputs", "targets", "resets", "weights"):
        torch.testing.assert_close(torch.cat([getattr(window, name) for window in windows]), getattr(data, name))


# ---- windows of drawn lengths


def lengths_drawn(strategy: TruncatedBPTT, place: tuple[int, int], steps: int = 160) -> list[int]:
    data = Batch(torch.zeros(steps, 1, dtype=torch.int64), torch.tensor([steps]))
    return [window.steps for window in strategy.windows(data, place)]


def test_drawn_lengths_fill_the_batch_and_stay_around_the_base() -> None:
    strategy = TruncatedBPTT(20, spread=6, seed=1)
    drawn = [lengths_drawn(strategy, (0, number)) for number in range(50)]
    assert {sum(lengths) for lengths in drawn} == {160}
    assert {len(lengths) for lengths in drawn} == {8}
    assert all(20 - 12 <= length <= 20 + 12 for lengths in drawn for length in lengths)
    assert len({length for lengths in drawn for length in lengths}) > 15
    # borders are uniform: the variance of an inner window is twice that of 2 * 6 + 1 equal numbers
    inner = [length for lengths in drawn for length in lengths[1:-1]]
    assert np.var(inner) == pytest.approx(2 * (13**2 - 1) / 12, rel=0.25)


def test_drawn_lengths_are_a_function_of_seed_epoch_and_batch() -> None:
    draws = [
        lengths_drawn(TruncatedBPTT(20, spread=6, seed=seed), place)
        for seed, place in [(1, (0, 0)), (1, (0, 1)), (1, (1, 0)), (2, (0, 0))]
    ]
    assert len({tuple(draw) for draw in draws}) == 4
    torch.rand(5)
    assert lengths_drawn(TruncatedBPTT(20, spread=6, seed=1), (0, 0)) == draws[0]


@pytest.mark.parametrize("steps", [1, 19, 20, 21, 41, 44])
def test_batches_of_any_length_are_cut_into_windows_that_are_not_empty(steps: int) -> None:
    for number in range(20):
        drawn = lengths_drawn(TruncatedBPTT(20, spread=9), (0, number), steps)
        assert sum(drawn) == steps
        assert min(drawn) >= 1


def test_drawn_windows_lose_no_loss_and_scale_the_rate_by_their_length() -> None:
    net, strategy = model("gru"), TruncatedBPTT(4, spread=1)
    _, total, count = gradients(strategy, net, batch())
    _, expected, _ = gradients(FullBPTT(), net, batch())
    assert (total, count) == (pytest.approx(expected, rel=1e-12), int(LENGTHS.sum()))
    for window in strategy.windows(batch()):
        assert strategy.rate_factor(window) == window.steps / 4
        assert TruncatedBPTT(4).rate_factor(window) == 1.0


def test_lanes_are_given_several_windows_a_batch_where_borders_are_drawn() -> None:
    assert TruncatedBPTT(20, 40).batch_steps == 20
    assert TruncatedBPTT(20, spread=5).batch_steps == 160


# ---- checkpointed


@pairs_of(
    cell=["elman", "lstm", "gru", "min_gru", "lstm+variational_dropout=0,0"],
    resets={"": False, "resets": True},
    segments=[None, 1, 3, 5, 12, 100],
)
def test_checkpointed_equals_full(cell: str, resets: bool, segments: int | None) -> None:
    net = model(cell)
    full, total, count = gradients(FullBPTT(), net, batch(resets))
    checkpointed, other, other_count = gradients(CheckpointedBPTT(segments), net, batch(resets))
    assert (count, total) == (other_count, pytest.approx(other, rel=1e-12))
    assert_equal(full, checkpointed)


def test_checkpointed_equals_full_over_batches_that_continue() -> None:
    net, data = model("lstm"), batch(resets=True)
    lanes = [data.slice_time(start, start + 6) for start in range(0, T, 6)]
    full, total, _ = gradients(FullBPTT(), net, lanes)
    checkpointed, other, _ = gradients(CheckpointedBPTT(2), net, lanes)
    assert total == pytest.approx(other, rel=1e-12)
    assert_equal(full, checkpointed)


def one_graph(net: Model, segments: list[Batch]) -> tuple[dict[str, Tensor], float]:
    """The segments run once, in order, their graph kept whole."""
    net.zero_grad()
    state: State | None = None
    losses = []
    for segment in segments:
        loss, _, state = net.loss(segment, state)
        losses.append(loss)
    total = torch.stack(losses).sum()
    total.backward()  # type: ignore[no-untyped-call]
    return taken(net), total.item()


@pytest.mark.parametrize(
    "cell", ["lstm", "gru+weight_drop=0.5", "lstm+variational_dropout=0.3,0.3", "elman+zoneout=0.3"]
)
def test_both_runs_of_a_segment_drop_the_same(cell: str) -> None:
    net, data, strategy = model(cell, dropout=0.5), batch(resets=True), CheckpointedBPTT(3)
    net.train()
    torch.manual_seed(3)
    oracle, expected = one_graph(net, strategy.cut(data))
    behind = torch.get_rng_state()
    torch.manual_seed(3)
    checkpointed, total, _ = gradients(strategy, net, data)
    assert total == pytest.approx(expected, rel=1e-12)
    assert_equal(oracle, checkpointed)
    assert torch.equal(torch.get_rng_state(), behind)  # the next batch drops something else
    torch.manual_seed(4)
    assert gradients(strategy, net, data)[1] != pytest.approx(total)


def test_what_a_first_pass_keeps_is_no_view_of_its_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    net, sizes = model("min_gru"), []
    loss = net.loss

    def watched(segment: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        if state is not None:
            sizes.extend(tensor.untyped_storage().nbytes() // tensor.element_size() for tensor in tensors(state))
        return loss(segment, state)

    monkeypatch.setattr(net, "loss", watched)
    CheckpointedBPTT(4).backward(net, batch(lengths=torch.tensor([T] * B)), None)
    assert set(sizes) == {3 * B * 6}  # one block of the states between the four segments


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 100, 101])
def test_segments_are_the_square_root_of_the_steps_and_equally_long(steps: int) -> None:
    data = batch(steps=steps, lengths=torch.tensor([steps]))
    lengths = [segment.steps for segment in CheckpointedBPTT().cut(data)]
    assert sum(lengths) == steps
    assert len(lengths) == math.ceil(math.sqrt(steps))
    assert max(lengths) - min(lengths) <= 1


# ---- all of them


STRATEGIES = [FullBPTT(), TruncatedBPTT(4), TruncatedBPTT(4, 8), CheckpointedBPTT(3)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_padding_changes_nothing(strategy: Strategy) -> None:
    net, data = model("lstm"), batch(resets=True)
    alone, total, count = gradients(strategy, net, data)
    noise = torch.randint(0, V, (4, B))
    everywhere = ~data.mask()
    padded = Batch(
        torch.cat([data.inputs.masked_fill(everywhere, 7), noise]),
        data.lengths,
        targets=torch.cat([data.targets.masked_fill(everywhere, 5), noise]),  # type: ignore[union-attr]
        resets=torch.cat([data.resets | everywhere, torch.ones(4, B, dtype=torch.bool)]),  # type: ignore[operator]
    )
    longer, other, other_count = gradients(strategy, net, padded)
    assert (count, total) == (other_count, pytest.approx(other, rel=1e-12))
    assert_equal(alone, longer)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_rows_together_give_the_sum_of_rows_alone(strategy: Strategy) -> None:
    net, data = model("gru"), batch()
    together, total, count = gradients(strategy, net, data)
    parts = []
    for row in range(B):
        part = slice(row, row + 1)
        alone = Batch(data.inputs[:, part], data.lengths[part], targets=data.targets[:, part])  # type: ignore[index]
        parts.append(gradients(strategy, net, alone))
    assert (total, count) == (pytest.approx(sum(part[1] for part in parts)), sum(part[2] for part in parts))
    assert_equal(together, {name: sum(part[0][name] for part in parts) for name in together})  # type: ignore[misc]


@pytest.mark.parametrize("strategy", STRATEGIES[1:], ids=str)
def test_models_with_one_loss_a_sequence_refuse_to_be_cut_with_the_reason(strategy: Strategy) -> None:
    with pytest.raises(OptionError, match=r"KeywordModel has one loss for a whole sequence.*--bptt full"):
        strategy.check(KeywordModel(3, 2))
    FullBPTT().check(KeywordModel(3, 2))
    strategy.check(model())


# ---- options


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        ({"bptt": "full"}, FullBPTT()),
        ({"bptt": "truncated"}, TruncatedBPTT(128)),
        ({"bptt": "truncated", "advance": 64, "reach": 128}, TruncatedBPTT(64, 128)),
        ({"bptt": "truncated", "spread": 20, "seed": 3}, TruncatedBPTT(128, spread=20, seed=3)),
        ({"bptt": "truncated", "carry": False}, TruncatedBPTT(128, carry=False)),
        ({"bptt": "checkpointed"}, CheckpointedBPTT()),
        ({"bptt": "checkpointed", "segments": 9, "seed": 3}, CheckpointedBPTT(9)),
    ],
)
def test_options_make_a_strategy(options: dict[str, int], strategy: Strategy) -> None:
    assert strategy_from(**options) == strategy  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bptt": "trunkated"}, "did you mean truncated"),
        ({"bptt": "full", "advance": 64}, "--advance 64 beside --bptt full, it belongs to --bptt truncated"),
        ({"bptt": "checkpointed", "reach": 64}, "--reach 64 beside --bptt checkpointed"),
        ({"bptt": "truncated", "segments": 4}, "--segments 4 .* it belongs to --bptt checkpointed"),
        ({"bptt": "truncated", "advance": 0}, "--advance 0, expected at least 1"),
        ({"bptt": "truncated", "advance": 64, "reach": 100}, "--reach 100 beside --advance 64.*try --reach 128"),
        ({"bptt": "truncated", "advance": 64, "reach": 32}, "--reach 32 beside --advance 64.*try --reach 64"),
        ({"bptt": "truncated", "advance": 64, "spread": 32}, "--spread 32 .*less than half"),
        ({"bptt": "truncated", "spread": -1}, "--spread -1 .*0 or more"),
        ({"bptt": "truncated", "reach": 256, "spread": 5}, "--spread 5 beside --reach 256.*leave out"),
        ({"bptt": "truncated", "reach": 256, "carry": False}, "--no-carry beside --reach 256.*leave out"),
        ({"bptt": "full", "carry": False}, "--no-carry beside --bptt full, it belongs to --bptt truncated"),
        ({"bptt": "checkpointed", "segments": 0}, "--segments 0, expected at least 1"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        strategy_from(**options)  # type: ignore[arg-type]
