"""Values and symbols read out at each step: whole equals stepwise; only what counts reaches loss and gradient."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.bptt import FullBPTT, TruncatedBPTT
from seqaudio.cells import CELLS
from seqaudio.models import Model, RecallModel, SeriesModel, build_model

T, B, F, K, V = 9, 4, 3, 2, 6
LENGTHS = torch.tensor([9, 5, 1, 0])


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def series(cell: str = "lstm") -> SeriesModel:
    torch.manual_seed(0)
    return SeriesModel(F, K, cell, hidden_size=5, layers=2, dropout=0.4).double().eval()


def recall(cell: str = "gru") -> RecallModel:
    torch.manual_seed(0)
    return RecallModel(V, cell, hidden_size=5).double().eval()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def ids(seed: int = 1) -> Tensor:
    return torch.randint(V, (T, B), generator=torch.Generator().manual_seed(seed))


def values_batch() -> Batch:
    weights = torch.rand(T, B, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return Batch(draw(T, B, F), LENGTHS, targets=draw(T, B, K, seed=2), weights=weights * (weights > 0.4))


def ids_batch() -> Batch:
    return Batch(ids(), LENGTHS, targets=ids(2), weights=values_batch().weights)


@pytest.mark.parametrize("cell", list(CELLS))
def test_series_steps_equal_the_whole(cell: str) -> None:
    model, inputs = series(cell), draw(T, B, F)
    whole, _ = model(inputs)
    assert whole.shape == (T, B, K)
    state = model.initial_state(B)
    for t in range(T):
        values, state = model.step(inputs[t], state)
        torch.testing.assert_close(values, whole[t], rtol=0, atol=1e-10)


def test_recall_steps_equal_the_whole() -> None:
    model = recall()
    whole, _ = model(ids())
    assert whole.shape == (T, B, V)
    state = model.initial_state(B)
    for t in range(T):
        logits, state = model.step(ids()[t], state)
        torch.testing.assert_close(logits, whole[t], rtol=0, atol=1e-10)


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("kind", ["series", "recall"])
def test_windows_add_up_to_the_whole(kind: str, resets: bool) -> None:
    model: Model = series() if kind == "series" else recall()
    batch = values_batch() if kind == "series" else ids_batch()
    if resets:
        batch = dataclasses.replace(batch, resets=draw(T, B, seed=4) > 0.8)
    total, count, _ = model.loss(batch)
    parts, counts, state = [], [], None
    for start, end in ((0, 4), (4, 5), (5, 9)):
        loss, n, state = model.loss(batch.slice_time(start, end), state)
        parts.append(loss)
        counts.append(n)
    assert sum(counts) == count
    torch.testing.assert_close(torch.stack(parts).sum(), total, rtol=0, atol=1e-10)


def test_series_loss_is_the_weighted_squared_error_of_the_steps_that_count() -> None:
    model, batch = series(), values_batch()
    values, _ = model(batch.inputs, lengths=LENGTHS)
    by_hand, count = 0.0, 0
    for b in range(B):
        for t in range(int(LENGTHS[b])):
            weight = batch.weights[t, b].item()
            by_hand += weight * sum((values[t, b, k] - batch.targets[t, b, k]).item() ** 2 for k in range(K))
            count += K * (weight != 0)
    total, counted, _ = model.loss(batch)
    assert counted == count
    assert 0 < count < K * int(LENGTHS.sum())
    assert math.isclose(total.item(), by_hand, rel_tol=1e-12)
    assert model.evaluate(batch) == {"mse": (pytest.approx(by_hand), count)}


def test_every_step_counts_without_weights() -> None:
    batch = dataclasses.replace(values_batch(), weights=None)
    assert series().loss(batch)[1] == K * int(LENGTHS.sum())
    assert recall().loss(dataclasses.replace(ids_batch(), weights=None))[1] == int(LENGTHS.sum())


def test_recall_loss_is_the_negative_log_likelihood_of_what_is_asked() -> None:
    model, batch = recall(), ids_batch()
    logits, _ = model(batch.inputs, lengths=LENGTHS)
    asked = [(t, b) for b in range(B) for t in range(int(LENGTHS[b])) if batch.weights[t, b] != 0]
    nats = [-logits[t, b].log_softmax(-1)[batch.targets[t, b]].item() for t, b in asked]
    total, count, _ = model.loss(batch)
    assert count == len(asked)
    weighted = sum(nat * batch.weights[place].item() for nat, place in zip(nats, asked, strict=True))
    assert math.isclose(total.item(), weighted, rel_tol=1e-12)
    assert model.evaluate(batch)["nats_per_symbol"] == (pytest.approx(sum(nats)), count)


def test_recall_accuracy_counts_the_symbols_that_are_asked() -> None:
    model, batch = recall(), ids_batch()
    best = model(batch.inputs, lengths=LENGTHS)[0].argmax(-1)
    count = model.loss(batch)[1]
    assert model.evaluate(dataclasses.replace(batch, targets=best))["accuracy"] == (count, count)
    assert model.evaluate(dataclasses.replace(batch, targets=(best + 1) % V))["accuracy"] == (0, count)


def test_targets_that_do_not_count_reach_neither_loss_nor_gradient() -> None:
    model, batch = series(), values_batch()
    gradients = []
    for filler in (0.0, math.nan):
        silent = (batch.weights == 0) | ~batch.mask()
        targets = torch.where(silent[..., None], filler, batch.targets)
        inputs = torch.where(batch.mask()[..., None], batch.inputs, filler)
        model.zero_grad()
        total, _, _ = model.loss(dataclasses.replace(batch, inputs=inputs, targets=targets))
        total.backward()
        gradients.append([total.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_window_in_which_nothing_counts_has_no_loss_and_a_state() -> None:
    batch = dataclasses.replace(values_batch(), weights=torch.zeros(T, B, dtype=torch.float64))
    total, count, state = FullBPTT().backward(series(), batch, None)
    assert (total, count) == (0.0, 0)
    assert state is not None


def test_both_models_may_be_trained_in_windows() -> None:
    TruncatedBPTT(4).check(series())
    TruncatedBPTT(4).check(recall())


def test_a_batch_without_targets_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"targets \[T, B, {K}\]"):
        series().loss(Batch(draw(T, B, F), LENGTHS))
    with pytest.raises(ValueError, match=r"targets \[T, B\]"):
        recall().loss(Batch(ids(), LENGTHS))


def test_initialisation_reaches_the_cells() -> None:
    model = build_model("series", {"input_size": 2, "cell": "lstm", "hidden_size": 400, "initialisation": "chrono=50"})
    assert isinstance(model, SeriesModel)
    forget = model.state_dict()["layers.layers.0.cell.bias_ih"][400:800]
    assert 0 <= forget.min() < 1
    assert 3.5 < forget.max() <= math.log(49)
