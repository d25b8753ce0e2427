"""Steps for sampling equal those of the model, whatever its cells, and a row is the same with others beside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqaudio.cells import CELLS
from seqaudio.layers.stepping import CompiledStepper, RowByRow
from seqaudio.models import EventModel, PhraseModel
from seqaudio.models import events as events_module
from seqaudio.models.sampler import RowSampler
from seqaudio.models.voices import VoicesModel
from seqaudio.state import State, flatten

V, T, B = 45, 12, 11  # 11 rows are more than one tile of rows, and not a whole number of them
BAR, STEP, STEPS = 3, 4, 6
WRAPPED = (
    "lstm+zoneout=0.1",
    "gru+variational_dropout=0.1+zoneout=0.1",
    "gru+variational_dropout=0.3",
    "lstm+weight_drop=0.2",
)


def events(cell: str = "lstm", **more: Any) -> EventModel:
    torch.manual_seed(0)
    model = EventModel(V, embedding_size=6, cell=cell, hidden_size=13, layers=2, dropout=0.4, **more)
    return model.eval()


def phrases(cell: str = "lstm", **more: Any) -> PhraseModel:
    torch.manual_seed(0)
    made = PhraseModel(
        V, bar=BAR, steps=[STEP, STEPS], lags=[1, 2], lag_size=5, embedding_size=6, cell=cell, hidden_size=13, **more
    )
    return made.eval()


def ids(rows: int = B, steps: int = T) -> Tensor:
    return torch.randint(BAR, V, (steps, rows), generator=torch.Generator().manual_seed(1))


def run(steps: Any, tokens: Tensor) -> tuple[Tensor, State]:
    """Logits [T, B, V] of single steps, and the state after the last."""
    state, logits = steps.initial_state(tokens.shape[1]), []
    with torch.no_grad():
        for row in tokens:
            step, state = steps.step(row, state)
            logits.append(step.clone())
    return torch.stack(logits), state


def assert_same_steps(model: Any, tokens: Tensor, tolerance: float) -> None:
    """The sampler's logits and states are the model's; each row is bit for bit what it is alone."""
    expected, after = run(model, tokens)
    found, state = run(model.sampler(), tokens)
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    for name, part in flatten(after).items():
        torch.testing.assert_close(flatten(state)[name], part, rtol=0, atol=tolerance)
    for b in range(tokens.shape[1]):
        alone, _ = run(model.sampler(), tokens[:, b : b + 1])
        assert torch.equal(alone[:, 0], found[:, b])


@pytest.mark.parametrize("cell", [*CELLS, *WRAPPED])
def test_steps_of_every_cell_are_those_of_the_model(cell: str) -> None:
    assert_same_steps(events(cell), ids(), 1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
@pytest.mark.parametrize("make", [events, phrases])
def test_in_double_precision_with_learned_states(make: Any, cell: str) -> None:
    model = make(cell, learned_state=True).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "start" in name:
                parameter.normal_()
    assert_same_steps(model, ids(), 1e-12)


@pytest.mark.parametrize("make", [events, phrases])
def test_tied_weights_and_conditions_that_are_asked_for_are_sampled_with(make: Any) -> None:
    model = make(tied=True, conditions=[3, 4])
    for table in model.conditions:  # zero before training
        torch.nn.init.normal_(table.weight)
    model.ask([0, 0])
    plain, _ = run(model.sampler(), ids())
    model.ask([2, 1])
    assert_same_steps(model, ids(), 1e-5)
    told, _ = run(model.sampler(), ids())
    assert (told - plain).abs().max() > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
@pytest.mark.parametrize("make", [events, phrases])
def test_nets_with_variational_dropout_are_sampled_from(make: Any, cell: str) -> None:
    assert_same_steps(make(cell, variational=True, weight_dropout=0.3), ids(), 1e-5)


def test_what_stood_bars_earlier_is_seen() -> None:
    tokens = torch.randint(BAR, 15, (150, 3), generator=torch.Generator().manual_seed(2))  # many bars and steps
    model = phrases("gru")
    with torch.no_grad():
        model.worth.bias.fill_(5.0)
    assert_same_steps(model, tokens, 1e-5)
    _, expected = run(model, tokens)
    _, found = run(model.sampler(), tokens)
    assert torch.equal(found.written.tokens, expected.written.tokens)  # type: ignore[union-attr]
    assert torch.equal(found.written.place, expected.written.place)  # type: ignore[union-attr]


def test_lstm_and_gru_are_compiled_and_others_are_not() -> None:
    kinds = {cell: type(events(cell).layers.stepper()) for cell in ("lstm", "gru", "elman", WRAPPED[0])}
    assert kinds == {"lstm": CompiledStepper, "gru": CompiledStepper, "elman": RowByRow, WRAPPED[0]: RowByRow}


def test_rows_that_are_kept_go_on_as_before() -> None:
    for model in (events(), phrases(), VoicesModel(V, 4, hidden_size=7).eval()):
        tokens, sampler = ids(), model.sampler()
        whole, _ = run(sampler, tokens)
        _, state = run(sampler, tokens[:5])
        rows = [7, 2, 10]
        state = sampler.keep(state, rows)
        for t in range(5, T):
            logits, state = sampler.step(tokens[t, rows], state)
            assert torch.equal(logits, whole[t, rows])


@pytest.mark.parametrize("make", [events, phrases])
def test_training_does_not_change_a_sampler_nor_a_sampler_training(make: Any) -> None:
    model, tokens = make(), ids()
    before, sampler = run(model, tokens)[0], model.sampler()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    model.train()
    logits, _ = model(tokens)
    logits[..., 5].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    optimiser.step()
    model.eval()
    after = run(model, tokens)[0]
    assert not torch.allclose(after, before, atol=1e-2)
    torch.testing.assert_close(run(sampler, tokens)[0], before, rtol=0, atol=1e-5)
    torch.testing.assert_close(run(model.sampler(), tokens)[0], after, rtol=1e-5, atol=1e-4)


def test_a_model_in_training_mode_has_no_sampler() -> None:
    for model in (events(), phrases(), VoicesModel(V, 4)):
        with pytest.raises(ValueError, match=r"training mode, with random dropout; call model\.eval\(\) first"):
            model.train().sampler()


def test_a_subclass_with_other_steps_keeps_them() -> None:
    class Sure(EventModel):
        def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
            logits, state = super().step(inputs, state)
            return 2 * logits, state

    torch.manual_seed(0)
    assert_same_rows(Sure(V, hidden_size=7).eval())


def test_without_compiled_kernels_the_models_own_steps_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "compiled_serves", lambda like: False)
    assert_same_rows(events())


def assert_same_rows(model: EventModel) -> None:
    """The sampler takes the model's own steps, row by row."""
    sampler = model.sampler()
    assert isinstance(sampler, RowSampler)
    found, _ = run(sampler, ids())
    for b in range(B):
        assert torch.equal(run(model, ids()[:, b : b + 1])[0][:, 0], found[:, b])
