"""Contracts of every model: whole equals stepwise equals chunked; padding and other rows never leak."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.cells import CELLS
from seqaudio.errors import OptionError, RunError
from seqaudio.models import EventModel, KeywordModel, KeywordModelOptions, build_model, choose_width, width_within

T, B, F, V = 11, 4, 5, 9
LENGTHS = torch.tensor([11, 7, 1, 0])


def events(cell: str = "lstm", layers: int = 2) -> EventModel:
    torch.manual_seed(0)
    return EventModel(V, embedding_size=6, cell=cell, hidden_size=7, layers=layers, dropout=0.4).double().eval()


def keyword(cell: str = "gru", **options: Any) -> KeywordModel:
    torch.manual_seed(0)
    model = KeywordModel(F, classes=3, cell=cell, hidden_size=7, layers=2, **options).double().eval()
    model.set_normalisation(torch.randn(F), torch.rand(F) + 0.5)
    return model


def ids(seed: int = 1) -> Tensor:
    return torch.randint(3, V, (T, B), generator=torch.Generator().manual_seed(seed))


def frames(seed: int = 1) -> Tensor:
    return torch.randn(T, B, F, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cell", list(CELLS))
def test_event_steps_equal_the_whole(cell: str) -> None:
    model = events(cell)
    whole, _ = model(ids())
    state = model.initial_state(B)
    for t in range(T):
        logits, state = model.step(ids()[t], state)
        torch.testing.assert_close(logits, whole[t], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", list(CELLS))
def test_event_windows_equal_the_whole(cell: str) -> None:
    model, inputs = events(cell), ids()
    resets = torch.rand(T, B, generator=torch.Generator().manual_seed(3)) < 0.2
    batch = Batch(inputs, LENGTHS, targets=ids(2), resets=resets)
    total, count, _ = model.loss(batch)
    parts, state = [], None
    for start, end in ((0, 4), (4, 5), (5, 11)):
        loss, n, state = model.loss(batch.slice_time(start, end), state)
        parts.append((loss, n))
    assert count == sum(n for _, n in parts) == int(LENGTHS.sum())
    torch.testing.assert_close(sum(loss for loss, _ in parts), total, rtol=0, atol=1e-10)


def test_a_long_text_is_evaluated_in_windows_with_the_state_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = events(), Batch(ids(), LENGTHS, targets=ids(2))
    ((whole, count),) = model.evaluate(batch).values()
    monkeypatch.setattr("seqaudio.models.events.AT_ONCE", 3 * B)
    seen: list[int] = []
    model.layers.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    assert model.evaluate(batch) == {"nats_per_event": (pytest.approx(whole), count)}
    assert seen == [3, 3, 3, 2]


def test_event_loss_is_the_negative_log_likelihood_of_the_targets() -> None:
    model, targets = events(), ids(2)
    logits, _ = model(ids(), lengths=LENGTHS)
    by_hand = -sum(logits[t, b].log_softmax(-1)[targets[t, b]].item() for b in range(B) for t in range(int(LENGTHS[b])))
    total, count, _ = model.loss(Batch(ids(), LENGTHS, targets=targets))
    assert count == 19
    assert math.isclose(total.item(), by_hand, rel_tol=1e-12)


def test_event_padding_never_reaches_loss_or_gradient() -> None:
    model = events()
    gradients = []
    for filler in (0, V - 1):
        inputs, targets = ids(), ids(2)
        for b in range(B):
            inputs[int(LENGTHS[b]) :, b] = filler
            targets[int(LENGTHS[b]) :, b] = filler
        model.zero_grad()
        total, _, _ = model.loss(Batch(inputs, LENGTHS, targets=targets))
        total.backward()
        gradients.append([total.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_weights_scale_the_loss_of_their_step() -> None:
    model = events()
    weights = torch.zeros(T, B, dtype=torch.float64)
    weights[2, 1] = 3.0
    total, _, _ = model.loss(Batch(ids(), LENGTHS, targets=ids(2), weights=weights))
    logits, _ = model(ids(), lengths=LENGTHS)
    assert math.isclose(total.item(), -3 * logits[2, 1].log_softmax(-1)[ids(2)[2, 1]].item(), rel_tol=1e-10)


POOLINGS = ("mean", "last", "attention")


@pytest.mark.parametrize(
    ("cell", "pooling"), [*((cell, "mean") for cell in CELLS), ("gru", "last"), ("gru", "attention")]
)
def test_keyword_stream_ends_where_the_whole_clip_does(cell: str, pooling: str) -> None:
    model = keyword(cell, pooling=pooling)
    state = model.initial_state(B)
    for t in range(T):
        streamed, state = model.step(frames()[t], state)
        heard, _ = model(frames()[: t + 1], torch.full((B,), t + 1))
        torch.testing.assert_close(streamed, heard, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_keyword_chunks_equal_the_whole(pooling: str) -> None:
    model = keyword(pooling=pooling)
    whole, _ = model(frames(), torch.full((B,), T))
    _, state = model(frames()[:4], torch.full((B,), 4))
    chunked, _ = model(frames()[4:], torch.full((B,), T - 4), state)
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_keyword_state_stays_where_a_row_has_no_more_frames(pooling: str) -> None:
    model = keyword(pooling=pooling)
    whole, _ = model(frames()[:7], torch.full((B,), 7))
    _, state = model(frames()[:7], torch.full((B,), 7))
    for nothing in (frames()[:3], frames()[:0]):
        again, state = model(nothing, torch.zeros(B, dtype=torch.int64), state)
        torch.testing.assert_close(again, whole, rtol=0, atol=1e-12)


def test_pooling_is_the_last_output_or_a_weighted_mean() -> None:
    last, attention = keyword(pooling="last"), keyword(pooling="attention")
    outputs, _ = last.layers(last._centre((frames() - last.mean) / last.std, *_sums(last)))
    torch.testing.assert_close(last(frames(), torch.full((B,), T))[0], last.output(outputs[-1]))
    with torch.no_grad():
        attention.attention.weight.zero_()  # all weights alike: the mean
    mean = keyword()
    mean.load_state_dict(attention.state_dict(), strict=False)
    torch.testing.assert_close(attention(frames(), LENGTHS)[0], mean(frames(), LENGTHS)[0])


def _sums(model: KeywordModel) -> tuple[Tensor, Tensor]:
    """The running sums of the normalised frames [T, B, F], and how many they are."""
    sums = ((frames() - model.mean) / model.std).cumsum(dim=0)
    return sums, torch.arange(1.0, T + 1, dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize(
    ("bidirectional", "pooling"), [(False, "mean"), (True, "mean"), (True, "last"), (True, "attention")]
)
def test_keyword_rows_do_not_see_padding_or_each_other(bidirectional: bool, pooling: str) -> None:
    model = keyword(bidirectional=bidirectional, pooling=pooling)
    together, _ = model(frames(), LENGTHS)
    spoiled = frames()
    for b in range(B):
        spoiled[int(LENGTHS[b]) :, b] = float("nan")
    torch.testing.assert_close(model(spoiled, LENGTHS)[0], together, rtol=0, atol=1e-12)
    for b in range(B):
        length = int(LENGTHS[b])
        alone, _ = model(frames()[:length, b : b + 1], LENGTHS[b : b + 1])
        torch.testing.assert_close(alone[0], together[b], rtol=0, atol=1e-10)


def test_normalisation_travels_with_the_weights() -> None:
    model = keyword()
    other = KeywordModel(F, classes=3, hidden_size=7, layers=2).double().eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(frames(), LENGTHS)[0], model(frames(), LENGTHS)[0])


def test_a_bidirectional_keyword_model_refuses_to_stream() -> None:
    model = keyword(bidirectional=True)
    with pytest.raises((OptionError, ValueError), match=r"whole|causal|both"):
        model.step(frames()[0], model.initial_state(B))


def test_accuracy_counts_clips() -> None:
    model = keyword()
    logits, _ = model(frames(), LENGTHS)
    targets = logits.argmax(dim=-1)
    assert model.evaluate(Batch(frames(), LENGTHS, targets=targets))["accuracy"] == (B, B)
    assert model.evaluate(Batch(frames(), LENGTHS, targets=(targets + 1) % 3))["accuracy"] == (0, B)


def test_models_are_built_by_name_from_plain_arguments() -> None:
    model = build_model("events", {"vocabulary_size": V, "hidden_size": 4})
    assert isinstance(model, EventModel)
    assert model.parameter_count() == sum(p.numel() for p in model.parameters())
    with pytest.raises(OptionError, match="did you mean events"):
        build_model("event", {})
    with pytest.raises(RunError, match="width"):
        build_model("events", {"width": 3})


SIZES = {"events": {"vocabulary_size": V, "embedding_size": 6}, "keyword": {"input_size": F, "classes": 3}}


@pytest.mark.parametrize("name", list(SIZES))
def test_initialisation_and_first_state_reach_every_layer(name: str) -> None:
    arguments = SIZES[name] | {"cell": "lstm", "hidden_size": 7, "layers": 2}
    model = build_model(name, arguments | {"initialisation": "forget_bias=3", "learned_state": True})
    state = model.state_dict()
    for layer in range(2):
        assert state[f"layers.layers.{layer}.cell.bias_ih"][7:14].eq(3).all()
        assert state[f"layers.layers.{layer}.cell.start.memory"].shape == (1, 7)
    with pytest.raises(OptionError, match="identity needs"):
        build_model(name, arguments | {"initialisation": "identity"})


@pytest.mark.parametrize("name", list(SIZES))
def test_arguments_of_runs_from_before_are_complete(name: str) -> None:
    torch.manual_seed(1)
    before = build_model(name, SIZES[name] | {"cell": "gru", "hidden_size": 7, "layers": 2, "dropout": 0.1})
    torch.manual_seed(1)
    arguments = SIZES[name] | {"cell": "gru", "hidden_size": 7, "layers": 2, "dropout": 0.1}
    after = build_model(name, arguments | {"initialisation": "", "learned_state": False})
    assert before.state_dict().keys() == after.state_dict().keys()
    assert all(map(torch.equal, before.state_dict().values(), after.state_dict().values()))


@pytest.mark.parametrize("name", list(SIZES))
@pytest.mark.parametrize("cell", ["gru", "projected_lstm+zoneout", "min_lstm"])
def test_a_budget_takes_the_width_at_which_the_whole_model_is_nearest(name: str, cell: str) -> None:
    arguments = SIZES[name] | {"cell": cell, "layers": 2, "learned_state": True, "initialisation": "chrono=9"}
    generator = torch.get_rng_state()
    width = width_within(name, arguments, 4000)
    assert torch.equal(torch.get_rng_state(), generator)
    away = {
        other: abs(build_model(name, arguments | {"hidden_size": other}).parameter_count() - 4000)
        for other in (width - 1, width, width + 1)
    }
    assert away[width] == min(away.values()) < 300


def test_a_width_is_given_or_budgeted_or_the_default() -> None:
    arguments = SIZES["keyword"]
    assert choose_width("keyword", arguments, hidden_size=None, parameters=None, default=12) == 12
    assert choose_width("keyword", arguments, hidden_size=5, parameters=None, default=12) == 5
    budgeted = choose_width("keyword", arguments, hidden_size=None, parameters=4000, default=12)
    assert budgeted == width_within("keyword", arguments, 4000) != 12


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hidden_size": 5, "parameters": 4000}, "hidden_size 5 and parameters 4000 exclude each other"),
        ({"hidden_size": 0, "parameters": None}, "hidden_size 0, expected at least 1"),
        ({"hidden_size": None, "parameters": 10}, "budget of 10 parameters"),
    ],
)
def test_a_width_that_cannot_be_is_refused(given: dict[str, int | None], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        choose_width("keyword", SIZES["keyword"], **given, default=12)


@pytest.mark.parametrize(("preset", "most"), [("tiny", 30_000), ("small", 100_000), ("base", 550_000)])
def test_a_preset_keeps_to_its_number_of_parameters(preset: str, most: int) -> None:
    model = build_model(**KeywordModelOptions(preset=preset).stream_description(40, 12, 0.02))  # type: ignore[arg-type]
    assert 0.75 * most < sum(parameter.numel() for parameter in model.parameters()) <= most


def test_times_of_a_spotter_become_numbers_of_frames() -> None:
    options = KeywordModelOptions(memory=2.0, pooling=0.0, label_smoothing=0.1, filters=0, hidden_size=8)
    arguments = options.stream_description(40, 3, 0.01)["arguments"]
    assert (arguments["memory"], arguments["pooling"], arguments["filters"]) == (200.0, 1.0, 0)
    assert KeywordModelOptions(memory=0.0).stream_description(40, 3, 0.01)["arguments"]["memory"] == 0
    with pytest.raises(OptionError, match="--bidirectional needs the whole clip"):
        KeywordModelOptions(bidirectional=True).stream_description(40, 3, 0.01)
