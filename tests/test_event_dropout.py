"""Tied weights, variational, weight and embedding dropout of models of tokens: what they compute, and exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_trainer
import torch
from test_trainer import PowerError, assert_equal_runs
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from made_up import token_store
from seqaudio.batching import Batch, Lanes, SequenceConditions
from seqaudio.errors import OptionError
from seqaudio.layers import MaskedStack, build_layers
from seqaudio.models import EventModel, EventModelOptions, Model, MusicModelOptions, build_model
from seqaudio.models.events import narrowed
from seqaudio.state import detach
from seqaudio.store import Store
from seqaudio.tensors import load_tensors, save_tensors

V, T, B = 12, 9, 3
MORE = {"tied": True, "variational": True, "weight_dropout": 0.4}
NETS: dict[str, dict[str, Any]] = {
    "events": {"embedding_size": 6, "embedding_dropout": 0.2, "conditions": [3, 4]},
    "phrases": {
        "bar": 3, "steps": [4, 4], "lags": [1], "embedding_size": 6, "embedding_dropout": 0.2, "conditions": [3, 4],
    },
    "voices": {"step_tokens": 2, "embedding_size": 6},
}  # fmt: skip


def net(name: str, hidden_size: int = 5, **more: Any) -> Model:
    torch.manual_seed(1)
    arguments = NETS[name] | {"vocabulary_size": V, "hidden_size": hidden_size, "layers": 2, "cell": "gru"} | more
    made = build_model(name, arguments).double()
    if isinstance(made, EventModel):
        for table in made.conditions:
            torch.nn.init.normal_(table.weight)
    return made.eval()


def ids(seed: int = 1, rows: int = B) -> Tensor:
    found = torch.randint(3, V, (T, rows), generator=torch.Generator().manual_seed(seed))
    found[0] = 1
    return found


def batch(seed: int = 1) -> Batch:
    return Batch(ids(seed), torch.full((B,), T), targets=ids(seed + 1))


@pytest.mark.parametrize("hidden_size", [5, 6])
def test_the_softmax_of_a_tied_model_has_the_weights_of_its_embedding(hidden_size: int) -> None:
    made = net("events", hidden_size, tied=True)
    assert isinstance(made, EventModel)
    tokens = ids()
    logits, _ = made(tokens)
    outputs, _ = made.layers(made.embedded(tokens))
    found = outputs.detach().numpy()
    if hidden_size != 6:
        found = found @ made.projection.weight.detach().numpy().T  # type: ignore[union-attr, operator]
    expected = found @ made.embedding.weight.detach().numpy().T + made.output.bias.detach().numpy()
    np.testing.assert_allclose(logits.detach().numpy(), expected, atol=1e-12)
    untied = net("events", hidden_size)
    fewer = V * hidden_size - (0 if hidden_size == 6 else hidden_size * 6)
    assert untied.parameter_count() - made.parameter_count() == fewer


def test_a_tied_model_stays_tied_through_files_and_updates(tmp_path: Path) -> None:
    made = net("events", tied=True)
    assert isinstance(made, EventModel)
    optimiser = torch.optim.Adam(made.parameters(), 0.1)
    made.loss(batch())[0].backward()
    optimiser.step()
    save_tensors(tmp_path / "weights", made.state_dict())
    again = net("events", tied=True)
    again.load_state_dict(load_tensors(tmp_path / "weights"))
    assert isinstance(again, EventModel) and again.output.weight is again.embedding.weight
    torch.testing.assert_close(again(ids())[0], made(ids())[0], rtol=0, atol=0)
    small = narrowed(again.float(), V - 2)
    torch.testing.assert_close(small.step(ids()[0] % 9, small.initial_state(B))[0], again(ids()[:1] % 9)[0][0, :, :-2])


@pytest.mark.parametrize("name", ["events", "phrases"])
def test_gradients_of_tied_weights_and_conditions_agree_with_finite_differences(name: str) -> None:
    made, tokens = net(name, tied=True), ids(rows=2)[:5]
    conditions = torch.tensor([[1, 2], [0, 3]]).expand(5, -1, -1)
    chosen = {key: value for key, value in made.named_parameters() if key.startswith(("embed", "cond", "proj"))}
    assert len(chosen) == 4

    def logits(*values: Tensor) -> Tensor:
        weights = dict(zip(chosen, values, strict=True))
        return functional_call(made, weights, (tokens,), {"conditions": conditions})[0]

    leaves = tuple(value.detach().clone().requires_grad_() for value in chosen.values())
    # padding_idx leaves the vector of an unknown value without gradient, so it must not be there either
    tables = [place for place, key in enumerate(chosen) if key.startswith("cond")]
    for gradient in (torch.autograd.grad(logits(*leaves).sum(), leaves)[place] for place in tables):
        assert not gradient[0].any() and gradient[1:].any()
    others = [place for place in range(len(leaves)) if place not in tables]

    def of_others(*values: Tensor) -> Tensor:
        whole = [leaf.detach() for leaf in leaves]
        for place, value in zip(others, values, strict=True):
            whole[place] = value
        return logits(*whole)

    assert torch.autograd.gradcheck(of_others, tuple(leaves[place] for place in others))


@pytest.mark.parametrize("name", list(NETS))
def test_evaluation_drops_nothing(name: str) -> None:
    tied = {"tied": True}
    plain, dropping = net(name, **tied), net(name, **MORE, dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    before = torch.get_rng_state()
    data = batch()
    assert dropping.evaluate(data) == plain.evaluate(data)
    state, other = dropping.initial_state(B), plain.initial_state(B)
    for tokens in data.inputs:
        logits, state = dropping.step(tokens, state)
        expected, other = plain.step(tokens, other)
        torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before), "and draws nothing"


@pytest.mark.parametrize("name", ["events", "phrases"])
def test_steps_and_windows_equal_the_whole_while_training_with_one_mask(name: str) -> None:
    made = net(name, tied=True, variational=True, dropout=0.5, embedding_dropout=0.0).train()
    tokens, state = ids(), made.initial_state(B)
    whole, _ = made(tokens, state)
    first, between = made(tokens[:4], state)
    second, _ = made(tokens[4:], detach(between))
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    for t in range(T):
        logits, state = made.step(tokens[t], state)
        torch.testing.assert_close(logits, whole[t], rtol=0, atol=1e-12)
    assert not torch.equal(made(tokens)[0], whole), "the next sequences have other masks"


class Watched(MaskedStack):
    """A stack that keeps what its first layer read."""

    def input_features(self, inputs: Tensor) -> Tensor:
        self.read = inputs
        return inputs


def test_a_mask_lasts_from_one_reset_to_the_next_in_its_row_alone() -> None:
    torch.manual_seed(1)
    stack = Watched(build_layers("gru", 40, 3, 2), 0.5, input_dropout=0.25).train()
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[0, 0] = resets[4, 1] = resets[6, 1] = resets[8, 2] = True
    lengths = torch.tensor([T, T, 8])  # a reset behind the end is none
    state = stack.initial_state(B)
    outputs, after = stack(torch.ones(T, B, 40), state, lengths, resets)
    read = stack.read
    assert read[:8].unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    for row, starts in enumerate(([0], [0, 4, 6], [0])):
        ends = [*starts[1:], int(lengths[row])]
        for start, end in zip(starts, ends, strict=True):
            assert (read[start:end, row] == read[start, row]).all()
            assert not start or not torch.equal(read[start, row], read[start - 1, row])
    begun = [not torch.equal(read[0, row], state.masks[0][row]) for row in range(B)]
    assert begun == [True, False, False], "a row that is not reset keeps the mask that it came with"
    for row in range(B):
        assert torch.equal(after.masks[0][row], read[int(lengths[row]) - 1, row])
    assert ((outputs[-1, :2] == 0) == (after.masks[-1][:2] == 0)).all()


def test_a_token_that_is_dropped_is_dropped_wherever_it_stands() -> None:
    made = net("events", embedding_dropout=0.5, conditions=[]).train()
    assert isinstance(made, EventModel)
    tokens = torch.arange(V).repeat(2, 1)
    one, other = made.embedded(tokens), made.embedded(tokens)
    assert torch.equal(one[0], one[1])
    kept = one[0].ne(0).any(dim=1)
    torch.testing.assert_close(one[0][kept], 2 * made.embedding.weight[kept])
    assert 0 < kept.sum() < V and not torch.equal(one, other)


@pytest.mark.parametrize("name", list(NETS))
def test_recurrent_weights_are_dropped_anew_in_each_window(name: str) -> None:
    made, data = net(name, weight_dropout=0.5, **({} if name == "voices" else {"embedding_dropout": 0.0})), batch()
    made.train()
    torch.manual_seed(5)
    one, other = (made.loss(data)[0].item() for _ in range(2))
    assert one != other
    torch.manual_seed(5)
    with torch.no_grad():
        for layer in made.layers.layers:  # type: ignore[union-attr]
            layer.cell.weight_hh.copy_(F.dropout(layer.cell.weight_hh, 0.5))
    made.layers.weight_dropout = 0.0  # type: ignore[union-attr]
    assert made.loss(data)[0].item() == pytest.approx(one, abs=1e-10)


def test_options_that_are_off_leave_the_description_as_it_was() -> None:
    plain = MusicModelOptions(hidden_size=8).music_description(9, (3, range(4, 6)), (1,))
    assert not plain["arguments"].keys() & {"tied", "variational", "weight_dropout", "embedding_dropout", "conditions"}
    asked = MusicModelOptions(hidden_size=8, tied=True, weight_dropout=0.3)
    for described in (
        asked.music_description(9, None, (), None, [5]),
        asked.music_description(9, (3, range(4, 6)), (1,), None, [5]),
    ):
        built = build_model(**described)
        assert isinstance(built, EventModel) and built.output.weight is built.embedding.weight
        assert described["arguments"]["conditions"] == [5] and built.layers.weight_dropout == 0.3
    voices = EventModelOptions(tied=True, variational=True).description(9, (5, 1))
    assert voices["name"] == "voices" and build_model(**voices)
    with pytest.raises(OptionError, match=r"--weight-dropout drops recurrent weights .*MinGRUCell has none"):
        build_model(**EventModelOptions(weight_dropout=0.5, cell="min_gru").description(9))
    with pytest.raises(OptionError, match="--embedding-dropout: the model of this store's tokens has none"):
        EventModelOptions(embedding_dropout=0.1).description(9, (5, 1))
    with pytest.raises(OptionError, match="--conditions: the model of this store's tokens has none"):
        EventModelOptions().description(9, (5, 1), [3])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("store"), count=40)


@pytest.mark.parametrize(("bptt", "moment"), [("truncated", 5), ("truncated", 12), ("reach", 7)])
def test_a_training_that_was_cut_off_ends_as_one_that_was_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bptt: str, moment: int
) -> None:
    arguments = {"embedding_dropout": 0.1, "conditions": [3, 4], **MORE}
    monkeypatch.setattr(test_trainer, "ARGUMENTS", test_trainer.ARGUMENTS | arguments)
    rows = store["train"]
    values = np.stack([np.arange(len(rows)) % 3, np.arange(len(rows)) % 4], axis=1)

    def training(name: str, resume: bool = False) -> Any:
        made = test_trainer.trainer(store, tmp_path / name, bptt=bptt, epochs=2, resume=resume, checkpoint_seconds=0.0)
        made.source = Lanes(rows, 4, 8, seed=1, conditions=SequenceConditions(values, 0.3, 1))
        return made

    training("whole").fit()
    cut, batches = training("cut"), 0
    train_on = cut._train_on

    def failing(given: Batch) -> None:
        nonlocal batches
        train_on(given)
        batches += 1
        if batches > moment:
            raise PowerError

    cut._train_on = failing
    with pytest.raises(PowerError):
        cut.fit()
    torch.rand(100)
    training("cut", resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
