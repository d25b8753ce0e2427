"""Pieces within bounds: whatever a model wants, they end on their bar line, and nothing is longer than was learned."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from made_up import Wilful
from seqaudio.decoding.kept_wishes import kept_wishes
from seqaudio.decoding.plan import Plan, Wishes
from seqaudio.decoding.sampling import sample
from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.notes.keys import key_name, key_named, scale_of
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.tokens.bounds import Bounds
from seqaudio.tokens.repertoire import UNKNOWN, Lengths, Repertoire, Shape, bounds_of, metre_named
from seqaudio.vocabulary import EOS

QUARTER = 480
SEEDS = int(os.environ.get("SEQAUDIO_SAMPLES", "25"))  # pieces of each representation
SIX_EIGHT = TimeSignature(0, 6, 8)
VOICES = ("Soprano", "Alto", "Tenor", "Bass")
NAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "melody": ("melody", {}),
    "bars": ("bars", {}),
    "performance": ("performance", {}),
    "second": ("performance", {"clock": "second"}),
    "chorale": ("chorale", {}),
    "chorale_grid": ("chorale_grid", {}),
    "REMI": ("miditok:REMI", {}),
    "TSD": ("miditok:TSD", {}),
    "programs": ("miditok:REMI", {"programs": True}),
}
on_bars = pytest.mark.parametrize("name", list(NAMES))


def tune(seed: int, metre: TimeSignature = SIX_EIGHT, tempo: int = 400_000, program: int = 24) -> NoteSequence:
    """Four voices in whole bars of a metre: quarters and eighths, sometimes a rest, a last chord that is longer."""
    draw = np.random.default_rng(seed)
    bar = 4 * QUARTER * metre.numerator // metre.denominator
    count = int(draw.integers(3, 9))
    start, length, now = [], [], int(draw.integers(0, 2)) * bar // 2 // 240 * 240
    while now < count * bar - QUARTER:
        start.append(now)
        length.append(int(draw.choice([QUARTER // 2, QUARTER // 2, QUARTER])))
        now += length[-1] + (QUARTER // 2 if draw.random() < 0.1 else 0)
    start.append(now)
    length.append(count * bar - now)
    pitches = [base + draw.integers(0, 9, len(start)) for base in (70, 60, 50, 40)]
    starts, lengths = np.array(start), np.array(length)
    return NoteSequence.from_columns(
        np.tile(starts, 4),
        np.tile(starts + lengths, 4),
        np.concatenate(pitches),
        draw.integers(60, 64, 4 * len(start)),
        program,
        np.repeat(range(4), len(start)),
        tempos=[(0, tempo)],
        time_signatures=[metre],
        track_names=VOICES,
    )


def learned(representation: TokenRepresentation, tunes: list[NoteSequence]) -> Repertoire:
    shapes = [shape for one in tunes if (shape := Shape.of(one, representation)) is not None]
    found = Repertoire.of(shapes, {int(token) for one in tunes for token in representation.encode(one)})
    assert found is not None
    return found


def representation_named(name: str) -> TokenRepresentation:
    made = build_representation(*NAMES[name]) if name in NAMES else build_representation(name)
    assert isinstance(made, TokenRepresentation)
    return made


def drawn(plan: Plan, seed: int, most: int | None = None) -> tuple[list[int], Bounds | None, NoteSequence]:
    """The ids of a piece, its bounds, and its notes as they are played."""
    generator = torch.Generator().manual_seed(seed)
    bounds = plan.bounds(generator)
    ids = sample(
        Wilful(len(plan.representation.tokens), seed),
        plan.representation,
        generator=generator,
        max_events=most if bounds is None or bounds.end is None else None,
        primer=plan.primer_ids,
        grammar=None if bounds is None else plan.representation.bounded(bounds),
    )
    return ids, bounds, plan.played(plan.representation.decode(ids))


def bars_of(notes: NoteSequence, metre: TimeSignature = SIX_EIGHT) -> float:
    """Bars from tick 0 to the end of the last note."""
    return notes.last_tick / (4 * notes.ticks_per_quarter * metre.numerator / metre.denominator)


@on_bars
def test_every_piece_keeps_to_what_was_learned(name: str) -> None:
    representation = representation_named(name)
    tunes = [tune(seed) for seed in range(12)]
    repertoire = learned(representation, tunes)
    plan = Plan(representation, repertoire)
    pitches = {int(pitch) for one in tunes for pitch in one.pitch}
    lengths = set()
    for seed in range(SEEDS):
        ids, bounds, notes = drawn(plan, seed)
        assert set(ids) <= set(repertoire.tokens)
        decoded = representation.decode(ids)
        assert (decoded.end_tick - decoded.start_tick).max() <= repertoire.longest
        assert set(notes.pitch.tolist()) <= pitches
        assert bounds is not None and bounds.end == decoded.last_tick
        assert bars_of(notes) == int(bars_of(notes))
        assert int(bars_of(notes)) in repertoire.bars("6/8")
        lengths.add(bars_of(notes))
        assert [sign.name for sign in notes.time_signatures] == ["6/8"]
        assert notes.tempo.tolist() == [400_000]
        assert set(notes.program.tolist()) == {24}
        assert representation.encode(decoded).tolist() == ids
    assert len(lengths) > 3


@on_bars
def test_bars_that_are_asked_for_hold(name: str) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    for bars in (1, 2, 5, 40):
        plan = Plan(representation, repertoire, Wishes(bars=bars))
        _, _, notes = drawn(plan, bars)
        assert bars_of(notes) == bars
        assert drawn(plan, bars)[0] == drawn(plan, bars)[0]


@on_bars
def test_of_wild_pieces_only_the_end_is_bound(name: str) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    plan = Plan(representation, repertoire, Wishes(wild=True, bars=2))
    ids, _, notes = drawn(plan, 3)
    assert not set(ids) <= set(repertoire.tokens)
    assert bars_of(notes) == 2


@on_bars
def test_a_primer_is_continued_to_a_bar_line(name: str) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed, tempo=600_000, program=3) for seed in range(12)])
    primer = tune(50)
    whole = representation.encode(primer).tolist()
    longest = max(repertoire.bars("6/8"))
    for count in (1, len(whole) // 3, len(whole) // 2, len(whole)):
        plan = Plan(representation, repertoire, Wishes(), primer, whole[:count])
        ids, _, notes = drawn(plan, count)
        assert ids[:count] == whole[:count]
        assert bars_of(notes) == pytest.approx(int(bars_of(notes) + 0.01), abs=0.01)
        assert 1 <= bars_of(notes) <= 2 * longest
        # in the primer's tempo, metre and program, not those of the training pieces
        assert notes.tempo.tolist() == [400_000]
        assert [sign.name for sign in notes.time_signatures] == ["6/8"]
        if not representation.writes_programs:
            assert set(notes.program.tolist()) == {24}
    with pytest.raises(OptionError, match="--bars 1: the primer has as many; give more"):
        Plan(representation, repertoire, Wishes(bars=1), primer, whole)


def test_what_is_asked_for_comes_before_primer_and_training_pieces() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed) for seed in range(6)])
    wishes = Wishes(tempo=700_000, metre=TimeSignature(0, 3, 4), program=40)
    for primer in (None, tune(50, TimeSignature(0, 3, 4), program=7)):
        ids = [] if primer is None else representation.encode(primer).tolist()[:20]
        _, _, notes = drawn(Plan(representation, repertoire, wishes, primer, ids), 1)
        assert notes.tempo.tolist() == [700_000]
        assert [sign.name for sign in notes.time_signatures] == ["3/4"]
        assert set(notes.program.tolist()) == {40}


@pytest.mark.parametrize(("metre", "bars"), [("3/4", 5), ("2/4", 3), ("9/8", 4), ("5/4", 2)])
@pytest.mark.parametrize("name", ["melody", "bars", "performance", "chorale_grid", "TSD", "REMI"])
def test_another_metre_than_that_of_the_training_pieces_holds(name: str, metre: str, bars: int) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    chosen = metre_named(metre)
    try:
        plan = Plan(representation, repertoire, Wishes(metre=chosen, bars=bars))
    except OptionError as error:
        assert "cannot write its bars" in str(error)
        return
    _, _, notes = drawn(plan, bars)
    assert bars_of(notes, chosen) == bars
    assert [sign.name for sign in notes.time_signatures] == [metre]


def test_the_metre_of_most_pieces_that_can_be_written_is_taken() -> None:
    bars, chorale = representation_named("bars"), representation_named("chorale")
    tunes = [tune(seed, TimeSignature(0, 5, 4)) for seed in range(5)] + [tune(9, TimeSignature(0, 3, 4))]
    assert Plan(bars, learned(bars, tunes)).metre.name == "5/4"
    assert Plan(chorale, learned(chorale, tunes)).metre.name == "3/4"
    assert Plan(chorale, learned(chorale, tunes[:5])).metre.name == "4/4"
    with pytest.raises(OptionError, match="--metre 5/4: chorale cannot write its bars"):
        Plan(chorale, learned(chorale, tunes), Wishes(metre=metre_named("5/4"))).metres  # noqa: B018


def test_chorales_in_short_metres_fill_bars_of_their_own() -> None:
    representation = representation_named("chorale")
    metre = TimeSignature(0, 3, 8)
    plan = Plan(representation, learned(representation, [tune(seed, metre) for seed in range(12)]))
    for seed in range(5):
        _, _, notes = drawn(plan, seed)
        assert bars_of(notes, metre) % 2 == 0
    with pytest.raises(OptionError, match="--bars 3: chorale writes 2 bars of 3/8 as one; give a multiple of 2"):
        Plan(representation, plan.repertoire, Wishes(bars=3))


@on_bars
def test_runs_that_do_not_know_their_training_pieces_sample_as_before(name: str) -> None:
    representation = representation_named(name)
    plan = Plan(representation)
    ids, bounds, notes = drawn(plan, 1, most=80)
    assert bounds is None
    generator = torch.Generator().manual_seed(1)
    model = Wilful(len(representation.tokens), 1)
    assert ids == sample(model, representation, generator=generator, max_events=80)
    assert notes == representation.decode(ids)
    # bars that are asked for hold all the same
    _, _, notes = drawn(Plan(representation, None, Wishes(bars=2)), 1)
    assert bars_of(notes, TimeSignature(0, 4, 4)) == 2


@pytest.mark.parametrize("tokeniser", ["Octuple", "MIDILike", "MMM"])
def test_learned_grammars_keep_to_the_tokens_that_were_seen(tokeniser: str) -> None:
    representation = build_representation(f"miditok:{tokeniser}")
    assert isinstance(representation, TokenRepresentation)
    repertoire = learned(representation, [tune(seed) for seed in range(6)])
    plan = Plan(representation, repertoire)
    for seed in range(3):
        ids, bounds, _ = drawn(plan, seed, most=120)
        assert bounds is not None and bounds.end is None
        assert set(ids) <= set(repertoire.tokens)
    with pytest.raises(OptionError, match=f"--bars 4: miditok:{tokeniser} cannot be ended at a bar; leave it out"):
        Plan(representation, repertoire, Wishes(bars=4))


@on_bars
def test_too_few_tokens_for_the_bounds_close_the_piece_as_without_them(name: str) -> None:
    representation = representation_named(name)
    plan = Plan(representation, learned(representation, [tune(seed) for seed in range(12)]), Wishes(bars=40))
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        bounds = plan.bounds(generator)
        assert bounds is not None
        model, grammar = Wilful(len(representation.tokens), seed), representation.bounded(bounds)
        ids = sample(model, representation, generator=generator, max_events=30 + seed, grammar=grammar)
        assert len(ids) <= 30 + seed
        assert not bounds.may_end(representation.decode(ids).last_tick)


@on_bars
def test_a_grammar_within_bounds_permits_nothing_that_its_base_does_not(name: str) -> None:
    representation = representation_named(name)
    plan = Plan(representation, learned(representation, [tune(seed) for seed in range(12)]))
    draw = np.random.default_rng(4)
    bounds = plan.bounds(torch.Generator().manual_seed(4))
    assert bounds is not None
    base, within = representation.grammar(), representation.bounded(bounds)
    token = -1
    while token != EOS:
        assert not (within.legal() & ~base.legal()).any()
        assert within.shortest_end() == base.shortest_end()
        token = int(draw.choice(np.flatnonzero(within.legal())))
        base.push(token)
        within.push(token)
    assert not within.legal().any()


def test_what_can_lead_nowhere_is_told() -> None:
    melody = representation_named("melody")
    repertoire = learned(melody, [tune(1)])
    grammar = melody.bounded(bounds_of(melody, replace(repertoire, tokens=(3,)), None, 2))  # rests alone
    assert np.flatnonzero(grammar.legal()).tolist() == [3]
    grammar.push(3)
    with pytest.raises(ValueError, match="no token that the training pieces have can lead to an end"):
        grammar.legal()


# --- what the training pieces have in common ---


def test_the_shape_of_a_piece() -> None:
    notes = NoteSequence.from_columns(
        [0, 720, 1440, 4 * 1440], [720, 1440, 3 * 1440, 4 * 1440 + 480], [60, 64, 67, 48], program=[1, 1, 2, 3],
        tempos=[(0, 400_000), (1440, 800_000)], time_signatures=[SIX_EIGHT],
    )  # fmt: skip
    shape = Shape.of(notes, representation_named("bars"))
    assert shape == Shape("6/8", bars=5, rest=24, longest=72, lowest=48, highest=67, tempo=800_000, program=1)
    melody = Shape.of(notes, representation_named("melody"), played=False)
    assert melody == replace(shape, rest=8, longest=24, tempo=UNKNOWN, program=UNKNOWN)
    assert Shape.of(NoteSequence.from_columns([0], [480], [36], is_drum=True), representation_named("bars")) is None


def test_an_upbeat_is_counted_in_a_full_bar() -> None:
    signs = [TimeSignature(0, 1, 4), TimeSignature(480, 3, 4)]
    notes = NoteSequence.from_columns([0, 480], [480, 480 + 1440], [60, 62], time_signatures=signs)
    shape = Shape.of(notes, representation_named("bars"))
    assert shape is not None and (shape.metre, shape.bars, shape.rest) == ("3/4", 2, 0)


def test_bars_are_counted_in_each_metre() -> None:
    signs = [TimeSignature(0, 4, 4), TimeSignature(2 * 1920, 3, 4)]
    notes = NoteSequence.from_columns(
        [0, 2 * 1920 + 3 * 1440], [1920, 2 * 1920 + 4 * 1440], [60, 62], time_signatures=signs
    )
    shape = Shape.of(notes, representation_named("melody"))
    assert shape is not None and (shape.metre, shape.bars, shape.rest) == ("3/4", 6, 0)


def test_a_repertoire_sums_up_its_shapes() -> None:
    shapes = [
        Shape("6/8", 8, 6, 24, 50, 70, 400_000, 5),
        Shape("6/8", 8, 0, 36, 52, 71, 500_000, 5),
        Shape("6/8", 16, 9, 12, 55, 60, 900_000, UNKNOWN),
        Shape("4/4", 12, 3, 12, 40, 60, 300_000, 9),
        Shape("2/4", 12, 3, 12, 40, 60, UNKNOWN, 9),
    ]
    found = Repertoire.of(shapes, {7, 3})
    six = Lengths({"8": 2, "16": 1}, 0, 500_000)
    metres = {"6/8": six, "2/4": Lengths({"12": 1}, 3), "4/4": Lengths({"12": 1}, 3, 300_000)}
    assert found == Repertoire(36, 40, 71, 400_000, 5, metres, (3, 7))
    assert [found.tempo_of(metre) for metre in ("6/8", "4/4", "2/4", "3/4")] == [500_000, 300_000, 400_000, 400_000]
    assert found.bars("6/8") == {8: 2, 16: 1}
    assert found.bars("3/4") == {8: 2, 12: 2, 16: 1}
    assert (found.rest("4/4"), found.rest("3/4")) == (3, 0)
    assert Repertoire.of([], set()) is None


@pytest.mark.parametrize("text", ["", "3", "3/", "/4", "3/5", "0/4", "6/8/2", "x/4", "-3/4", "999/4", "३/४"])
def test_what_is_no_time_signature_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--metre .*, expected a time signature such as 3/4 or 6/8"):
        metre_named(text, "--metre")


SAMPLED = [
    *NAMES,
    "tonicnet",
    "tonicnet_notes",
    *(f"miditok:{name}" for name in ("MIDILike", "Structured", "CPWord", "Octuple", "MuMIDI", "MMM", "PerTok")),
]
KEY_SEEDS = max(3, SEEDS // 5)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_pitch_outside_a_key_is_sampled(name: str) -> None:
    representation = representation_named(name)
    tunes = [tune(seed) for seed in range(12)]
    repertoire = learned(representation, tunes)
    # the names of tokens tell their pitches
    written = {int(pitch) for one in tunes[:3] for pitch in representation.quantise(one).pitch}
    ids = np.unique(np.concatenate([representation.encode(one) for one in tunes[:3]]))
    assert set(representation.token_pitches[ids].tolist()) - {-1} == written
    for number, text in enumerate(("D minor", "Bb major", "F# minor")):
        key = key_named(text)
        for wild in (False, True):
            plan = Plan(representation, repertoire, Wishes(key=key, wild=wild))
            for seed in range(number, number + KEY_SEEDS):
                _, bounds, notes = drawn(plan, seed, 150)
                pitched = notes.select(~notes.is_drum)
                assert set((pitched.pitch % 12).tolist()) <= set(scale_of(key))
                assert notes.key_signatures == (key,)
                (kept,) = kept_wishes(plan, bounds, notes, notes)
                assert (kept.name, kept.asked, kept.share, kept.guaranteed) == ("key", key_name(key), 1.0, True)
                assert str(kept) == f"key {text} (100 % of {len(pitched):,} notes)"


@pytest.mark.parametrize("name", ["bars", "melody", "performance", "chorale", "tonicnet", "REMI"])
def test_a_primer_keeps_its_own_pitches(name: str) -> None:
    representation = representation_named(name)
    tunes = [tune(seed) for seed in range(12)]
    key = key_named("E major")
    primer = tune(40)
    ids = representation.encode(primer).tolist()
    ids = ids[: len(ids) // 2 // 5 * 5]
    plan = Plan(representation, learned(representation, tunes), Wishes(key=key), primer, ids)
    for seed in range(KEY_SEEDS):
        sampled, bounds, notes = drawn(plan, seed, len(ids) + 150)
        assert sampled[: len(ids)] == ids
        pitches = representation.token_pitches[sampled[len(ids) :]]
        assert set((pitches[pitches >= 0] % 12).tolist()) <= set(scale_of(key))
        (kept,) = kept_wishes(plan, bounds, representation.decode(sampled), notes)
        assert kept.share == 1.0 and "after the primer's own" in str(kept)
        assert not set((notes.pitch % 12).tolist()) <= set(scale_of(key))


@pytest.mark.parametrize("name", ["bars", "melody", "performance", "chorale", "REMI"])
def test_too_few_tokens_keep_the_key_all_the_same(name: str) -> None:
    representation = representation_named(name)
    key = key_named("C minor")
    plan = Plan(representation, learned(representation, [tune(seed) for seed in range(12)]), Wishes(bars=30, key=key))
    for seed in range(KEY_SEEDS):
        generator = torch.Generator().manual_seed(seed)
        bounds = plan.bounds(generator)
        assert bounds is not None
        model = Wilful(len(representation.tokens), seed)
        ids = sample(
            model, representation, generator=generator, max_events=60, grammar=representation.bounded(bounds)
        )  # fmt: skip
        notes = representation.decode(ids)
        assert set((notes.pitch % 12).tolist()) <= set(scale_of(key))
        kept = {wish.name: wish for wish in kept_wishes(plan, bounds, notes, plan.played(notes))}
        assert kept["key"].share == 1.0 and not kept["bars"].guaranteed and kept["bars"].share < 1


def test_a_key_that_no_token_can_keep_is_refused() -> None:
    representation = representation_named("melody")
    key = key_named("D minor")
    low = [NoteSequence.from_columns([0], [480], [61])]  # one C sharp: not in C major
    with pytest.raises(OptionError, match="--key C major: no training piece has a pitch of it"):
        Plan(representation, learned(representation, low), Wishes(key=key_named("C major")))
    with pytest.raises(OptionError, match="--key D minor: miditok:BEAT has no tokens of single pitches"):
        Plan(representation_named("miditok:BEAT"), None, Wishes(key=key))  # its chords are intervals
