"""Conditions of pieces: read from stores, told to models, unknown at random, asked for when pieces are generated."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import SMALL, Command, assert_refused, made_once
from made_up import token_store
from seqaudio.api import composing
from seqaudio.batching import Batch, Lanes, SequenceConditions, TokenSequences
from seqaudio.cli import generate
from seqaudio.cli.info import describe
from seqaudio.decoding.asked import asked_values
from seqaudio.decoding.kept_wishes import described, kept_wishes
from seqaudio.decoding.plan import Plan, Wishes
from seqaudio.errors import RunError
from seqaudio.evaluation.music.conditioned import conditioned_nats, conditions_of, told
from seqaudio.json_files import fitted, read_json
from seqaudio.midi import read_midi, write_midi
from seqaudio.models import EventModel, build_model
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.notes.keys import key_named
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.prepare.music.piece_traits import _tempo_and_metre, piece_traits
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens import build_representation
from seqaudio.tokens.conditions import Conditions, Traits, density_of
from seqaudio.tokens.repertoire import UNKNOWN

PIECES = [
    Traits(key_named("G major"), 500_000, "6/8", 1.0),
    Traits(key_named("E minor"), 400_000, "6/8", 2.0),
    Traits(None, UNKNOWN, None, 3.0),
    Traits(key_named("C major"), 600_000, "4/4", None),
]
ALL = ("key", "tempo", "metre", "density")


def scale(notes: int = 16, metre: str = "4/4", tempo: int = 500_000) -> NoteSequence:
    """G major in quarters."""
    starts = 480 * np.arange(notes)
    numerator, denominator = map(int, metre.split("/"))
    pitches = np.resize([67, 69, 71, 72, 74, 76, 78, 79], notes)
    signatures = [TimeSignature(0, numerator, denominator)]
    return NoteSequence.from_columns(starts, starts + 480, pitches, tempos=[(0, tempo)], time_signatures=signatures)


# ---- values


def test_each_condition_has_a_value_and_what_is_not_known_is_0() -> None:
    found = Conditions.of(ALL, PIECES)
    assert found.metre == ("6/8", "4/4")
    assert found.density == pytest.approx((5 / 3, 7 / 3)) and found.tempo == pytest.approx((340 / 3, 130))
    assert [found.values(piece) for piece in PIECES] == [
        [1 + 7, 2, 1, 1],
        [1 + 4 + 12, 3, 1, 2],
        [0, 0, 0, 3],
        [1 + 0, 1, 2, 0],
    ]
    assert found.sizes == [25, 4, 3, 4]
    assert found.values(Traits(metre="9/8")) == [0, 0, 0, 0]
    assert found.values(Traits(density=9.0), "low") == [0, 0, 0, 1]
    assert [found.density_level(density) for density in (0.1, 2.0, 9.0)] == ["low", "medium", "high"]
    one = Conditions.of(("density",), PIECES[3:])
    assert (one.values(PIECES[0]), one.density_level(1.0)) == ([0], None)


def test_enharmonic_keys_are_one_and_all_others_differ() -> None:
    conditions = Conditions.of(("key",), [])
    majors, minors = ("C Db D Eb E F F# G Ab A Bb B", "C C# D Eb E F F# G Ab A Bb B")
    names = [f"{tonic} major" for tonic in majors.split()] + [f"{tonic} minor" for tonic in minors.split()]
    values = [conditions.values(Traits(key_named(name)))[0] for name in names]
    assert values == list(range(1, 25))
    assert conditions.values(Traits(key_named("Gb major"))) == conditions.values(Traits(key_named("F# major")))


def test_a_run_keeps_conditions_as_json_and_refuses_damaged_ones() -> None:
    found = Conditions.of(ALL, PIECES)
    assert fitted(Conditions, json.loads(json.dumps(found.to_json()))) == found
    good = found.to_json()
    for damage in (
        {"names": []}, {"names": ["key", "key"]}, {"names": ["mood"]}, {"density": [1.0]}, {"density": [2.0, 1.0]},
        {"tempo": [-1.0, 1.0]}, {"metre": ["6/7"]}, {"metre": ["4/4"] * 20},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            fitted(Conditions, good | damage)


def test_density_is_notes_a_quarter() -> None:
    assert density_of(scale()) == 1.0
    assert density_of(scale().with_columns(end_tick=np.full(16, 480 * 32))) == 0.5
    assert density_of(scale(0)) is None


def test_traits_are_read_from_tokens_and_facts_and_from_older_stores(tune_store: Path) -> None:
    store = Store(tune_store)
    rows = store["train"]
    found = piece_traits(store, rows)
    representation = build_representation("bars")
    for row, (traits, text) in enumerate(zip(found, rows.column("text"), strict=True)):
        facts = PieceFacts.from_text(text)
        assert facts is not None and facts.shape is not None
        assert (traits.tempo, traits.metre) == (facts.shape.tempo, facts.shape.metre) == (500_000, "4/4")
        assert traits.density == pytest.approx(20 / 8)
        assert traits == Traits.of(representation.decode(rows.sequence(row)), 500_000, "4/4")
        older = replace(facts, shape=None)
        assert _tempo_and_metre(older) == (500_000, None)
        assert _tempo_and_metre(replace(older, fastest=150.0, time_signatures=("3/4",))) == (UNKNOWN, "3/4")
    assert _tempo_and_metre(None) == (UNKNOWN, None)
    assert len(piece_traits(store, rows.head(3))) == 3


# ---- batches


def test_values_are_dropped_by_seed_epoch_and_row_alone() -> None:
    values = np.tile([[1, 2, 3]], (2000, 1))
    drawn = SequenceConditions(values, 0.3, seed=4)
    found = np.stack([drawn.of(row, 0) for row in range(2000)])
    unknown = found == 0
    assert unknown.mean(axis=0) == pytest.approx([0.3] * 3, abs=0.04)
    assert np.corrcoef(unknown.T)[np.triu_indices(3, 1)] == pytest.approx([0] * 3, abs=0.08), "each for itself"
    assert (found[~unknown] == values[~unknown]).all()
    again = SequenceConditions(values, 0.3, seed=4)
    assert all(np.array_equal(again.of(row, 0), found[row]) for row in (1999, 3, 0))
    assert any(not np.array_equal(again.of(row, 1), found[row]) for row in range(20))
    assert np.array_equal(SequenceConditions(values).of(7, 3), [1, 2, 3])


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("letters"), count=30)


def numbered(store: Store, dropped: float = 0.0) -> SequenceConditions:
    """Conditions that tell the row: its number plus 1, and whether that is even."""
    rows = np.arange(len(store["train"]))
    return SequenceConditions(np.stack([rows + 1, 1 + rows % 2], axis=1), dropped, 1)


def test_conditions_change_where_a_piece_begins_in_a_lane(letters: Store) -> None:
    lanes = Lanes(letters["train"], 3, 7, seed=1, conditions=numbered(letters, 0.3))
    for epoch in (0, 1):
        for number, batch in enumerate(lanes.epoch(epoch)):
            assert batch.conditions is not None
            for lane in range(3):
                steps = batch.conditions[:, lane].tolist()
                for piece in lanes.pieces(epoch, lane, 7 * number, 7 * number + 7):
                    here = slice(piece.start - 7 * number, piece.start - 7 * number + piece.steps)
                    assert steps[here] == [numbered(letters, 0.3).of(piece.row, epoch).tolist()] * piece.steps
    window = batch.slice_time(2, 5)
    assert window.conditions is not None and torch.equal(window.conditions, batch.conditions[2:5])
    assert next(Lanes(letters["train"], 3, 7, seed=1).epoch(0)).conditions is None


def test_padded_batches_tell_each_row_its_own(letters: Store) -> None:
    batch = TokenSequences(letters["train"], numbered(letters))([4, 1], 0)
    assert batch.conditions is not None
    assert batch.conditions.tolist() == [[[5, 1], [2, 2]]] * batch.steps


# ---- models

NETS: dict[str, dict[str, Any]] = {
    "events": {},
    "phrases": {"bar": 3, "steps": [4, 3], "lags": [1, 2]},
}


def net(name: str, conditions: list[int], random: bool = True) -> EventModel:
    torch.manual_seed(1)
    sizes = {"vocabulary_size": 10, "embedding_size": 5, "hidden_size": 6}
    made = build_model(name, NETS[name] | sizes | {"conditions": conditions})
    assert isinstance(made, EventModel)
    for table in made.conditions if random else ():
        torch.nn.init.normal_(table.weight)
        with torch.no_grad():
            table.weight[0] = 0
    return made.double().eval()


@pytest.mark.parametrize("name", list(NETS))
def test_steps_of_what_is_asked_for_equal_the_whole_told_the_same(name: str) -> None:
    made = net(name, [4, 3])
    ids = torch.randint(3, 10, (12, 2), generator=torch.Generator().manual_seed(1))
    values = torch.tensor([2, 1])
    whole, _ = made(ids, conditions=values.expand(12, 2, 2))
    unknown, _ = made(ids)
    assert (whole - unknown).abs().max() > 0.01
    torch.testing.assert_close(made(ids, conditions=torch.zeros(12, 2, 2, dtype=torch.int64))[0], unknown)
    made.ask([2, 1])
    state = made.initial_state(2)
    for t in range(12):
        logits, state = made.step(ids[t], state)
        torch.testing.assert_close(logits, whole[t], rtol=0, atol=1e-12)
    assert "asked" not in made.state_dict()
    for wrong in ([1], [4, 0], [-1, 0]):
        with pytest.raises(ValueError, match="expected 2 below"):
            made.ask(wrong)


@pytest.mark.parametrize("name", list(NETS))
def test_a_lane_of_pieces_has_the_loss_of_each_piece_with_its_own_conditions(name: str, letters: Store) -> None:
    rows = letters["train"]
    made, conditions = net(name, [len(rows) + 1, 3]), numbered(letters)
    alone = sum(made.loss(TokenSequences(rows, conditions)([row], 0))[0].item() for row in range(len(rows)))
    total, count, state = 0.0, 0, None
    for batch in Lanes(rows, 1, 9, seed=1, conditions=conditions).epoch(0):
        loss, n, state = made.loss(batch, state)
        total, count = total + loss.item(), count + n
    assert total == pytest.approx(alone, abs=1e-8) and count == int((rows.lengths + 1).sum())


def test_an_untrained_model_is_that_without_conditions(letters: Store) -> None:
    told_nothing, made = net("events", []), net("events", [99, 3], random=False)
    batch = TokenSequences(letters["train"], numbered(letters))([4, 1], 0)
    assert made.evaluate(batch) == told_nothing.evaluate(batch)


def test_what_conditions_tell_is_learned_and_the_unknown_stays_as_it_is() -> None:
    # the condition is the only thing that tells the token of a piece
    made = net("events", [3], random=False).float().train()
    optimiser = torch.optim.Adam(made.parameters(), 0.05)
    targets = torch.tensor([[3, 4, 3, 4]]).expand(6, -1)
    inputs = torch.ones(6, 4, dtype=torch.int64)
    conditions = torch.tensor([1, 2, 0, 0])[None, :, None].expand(6, -1, -1)
    batch = Batch(inputs, torch.full((4,), 6), targets=targets, conditions=conditions)
    for _ in range(60):
        optimiser.zero_grad()
        made.loss(batch)[0].backward()
        optimiser.step()
    nats = {
        value: made.evaluate(replace(batch, conditions=torch.full_like(conditions, value)))["nats_per_event"][0] / 24
        for value in (0, 1)
    }
    assert made.evaluate(batch)["nats_per_event"][0] / 24 < 0.45
    assert nats[0] == pytest.approx(np.log(2), abs=0.1) and nats[1] > 1.5
    assert not made.conditions[0].weight[0].any()  # type: ignore[index]


# ---- wishes


def plan(wishes: Wishes | None = None, primer: NoteSequence | None = None) -> Plan:
    representation = build_representation("bars")
    ids = [] if primer is None else representation.encode(primer).tolist()
    return Plan(representation, None, wishes or Wishes(), primer, ids)  # type: ignore[arg-type]


def test_wishes_come_before_the_primer_and_the_rest_is_unknown() -> None:
    conditions = Conditions.of(ALL, PIECES)
    assert asked_values(conditions, plan()) == [0, 0, 0, 0]
    wishes = Wishes(key=key_named("E minor"), tempo=400_000, metre=TimeSignature(0, 6, 8), density="high")
    assert asked_values(conditions, plan(wishes)) == [17, 3, 1, 3]
    assert asked_values(conditions, plan(Wishes(density="low"))) == [0, 0, 0, 1]
    primer = scale(tempo=600_000)
    own = Traits.of(primer, 600_000, "4/4")
    assert own.key == key_named("G major")
    assert asked_values(conditions, plan(primer=primer)) == conditions.values(own) == [8, 1, 2, 1]
    asked = plan(Wishes(key=key_named("C major"), density="high"), primer)
    assert asked_values(conditions, asked) == [1, 1, 2, 3]


def test_the_measured_density_is_told_as_a_wish() -> None:
    conditions = Conditions.of(ALL, PIECES)
    asked = plan(Wishes(density="high", tempo=500_000))
    found = kept_wishes(asked, None, scale(), scale(), conditions=conditions)
    assert described(found) == (
        "set when written: tempo 120 (100 % of 1 tempo); "
        "a wish to the model: density high (1 notes a quarter, which is low)"
    )
    assert found[-1].share == 0.0 and not found[-1].guaranteed


# ---- commands


@pytest.fixture(scope="session")
def told_run(command: Command, tune_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the tunes in `tune_store` that is told key and density."""

    def make(folder: Path) -> None:
        options = ("--store", tune_store, "--run", folder / "run", "--epochs", "4", "--batch-size", "4")
        more = ("--conditions", "key", "density", "tempo", "metre", "--tied", "--advance", "32")
        done = command("recipes/music_generation/train.py", *options, *more, *SMALL)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "told-run", make) / "run"


def test_a_run_keeps_its_conditions_and_is_measured_with_and_without(told_run: Path, tune_store: Path) -> None:
    run, store = RunFolder(told_run), Store(tune_store)
    conditions = conditions_of(run)
    assert conditions == Conditions.of(("key", "density", "tempo", "metre"), piece_traits(store, store["train"]))
    assert any(line == f"  {conditions.describe()}" for line in describe(told_run))
    found = read_json(told_run / "results.json")["valid"]
    values = told(conditions, store, "valid")
    again = conditioned_nats(run.model(), store["valid"], values)
    assert again["nats_per_conditioned_event"] == pytest.approx(found["nats_per_conditioned_event"], rel=1e-5)
    assert found["nats_per_conditioned_event"] != found["nats_per_event"]
    assert conditioned_nats(run.model(), store["valid"], None) == {}


def test_what_is_asked_for_reaches_the_model(
    told_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_midi(scale(), tmp_path / "primer.mid")

    def asked(**options: Any) -> tuple[list[int], NoteSequence]:
        config = generate.Config(told_run, tmp_path / "x.mid", force=True, bars=6, **options)
        composer = composing.Composer(RunFolder(told_run), config)
        assert isinstance(composer.model, EventModel)
        generate.main(config)
        return composer.model.asked.tolist(), read_midi(tmp_path / "x.mid")

    unknown, free = asked()
    assert unknown == [0, 0, 0, 0] and "density" not in capsys.readouterr().out
    values, _ = asked(density="high", key="D minor", tempo=120.0, metre="4/4")
    assert values == [1 + 2 + 12, 3, 1, 1]
    assert "a wish to the model: density high (" in capsys.readouterr().out
    assert asked()[1] == free
    assert asked(primer=tmp_path / "primer.mid")[0] == [8, 1, 1, 1]


def test_a_density_that_the_run_was_not_told_is_refused(command: Command, tune_run: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "generate", tune_run, "--out", tmp_path / "x.mid", "--density", "low")
    assert_refused(done, "--density low", "is not conditioned on density", "--conditions density")
    assert not (tmp_path / "x.mid").exists()


def test_conditions_that_do_not_fit_the_model_are_one_line(told_run: Path, tmp_path: Path, command: Command) -> None:
    good = read_json(told_run / "config.json")
    for number, damage in enumerate(({"names": ["key"]}, {"density": [3.0, 1.0]})):
        run = tmp_path / f"run{number}"
        shutil.copytree(told_run, run)
        data = json.loads(json.dumps(good))
        data["input"]["conditions"] |= damage
        (run / "config.json").write_text(json.dumps(data))
        with pytest.raises(RunError, match=r"config\.json: damaged"):
            composing.Composer(RunFolder(run), generate.Config(run, tmp_path / "x.mid"))
    assert_refused(command("seqaudio", "generate", run, "--out", tmp_path / "x.mid"), "config.json: damaged")
