"""Streams drawn from a model: always legal, always closed, repeatable, and steered by the model alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from seqaudio.decoding import StepModel, Stream, sample, sample_many, sample_roll
from seqaudio.decoding.sampling import _draw, filtered
from seqaudio.models import EventModel
from seqaudio.sampling_options import SamplingOptions
from seqaudio.tokens import REPRESENTATIONS as KINDS
from seqaudio.tokens import (
    ChoraleGridRepresentation,
    MelodyRepresentation,
    MidiTokRepresentation,
    PerformanceRepresentation,
    RollRepresentation,
    TokenRepresentation,
    build_representation,
)
from seqaudio.vocabulary import BOS, EOS

REPRESENTATIONS: list[TokenRepresentation] = [
    MelodyRepresentation(),
    PerformanceRepresentation(),
    PerformanceRepresentation(clock="second", velocity_bins=8),
    ChoraleGridRepresentation(),
    MidiTokRepresentation("REMI", steps_per_quarter=4),
    MidiTokRepresentation("TSD", steps_per_quarter=4, programs=True),
]
each = pytest.mark.parametrize(
    "representation", REPRESENTATIONS, ids=["melody", "beat", "second", "grid", "REMI", "TSD"]
)


class Random(nn.Module):
    """Untrained: logits from a random recurrence, so that every token has its moments."""

    def __init__(self, size: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(size, 8)
        self.cell = nn.GRUCell(8, 8)
        self.output = nn.Linear(8, size)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 8)

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(self.embedding(inputs), state)
        return self.output(state), state


class Scripted:
    """Wants the tokens of a script, one after the other, whatever came before; keeps what it was given."""

    def __init__(self, representation: TokenRepresentation, wanted: list[int]) -> None:
        self.size, self.wanted, self.given = len(representation.tokens), wanted, list[int]()

    def initial_state(self, batch_size: int) -> int:
        assert batch_size == 1
        return 0

    def step(self, inputs: Tensor, state: int) -> tuple[Tensor, int]:
        self.given.append(int(inputs))
        logits = torch.zeros(1, self.size)
        if state < len(self.wanted):
            logits[0, self.wanted[state]] = 100.0
        return logits, state + 1


class Constant:
    """The same logits at every step."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def initial_state(self, batch_size: int) -> None:
        return None

    def step(self, inputs: Tensor, state: None) -> tuple[Tensor, None]:
        return self.logits[None], None


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@each
def test_every_sample_decodes_strictly_and_keeps_its_limit(representation: TokenRepresentation) -> None:
    model = Random(len(representation.tokens)).eval()
    lengths = set()
    for seed in range(100):
        limit = seed % 50
        events = sample(model, representation, generator=seeded(seed), max_events=limit, temperature=1.5)
        assert len(events) <= limit
        notes = representation.decode([BOS, *events, EOS])
        assert representation.encode(notes).tolist() == events
        lengths.add(len(events))
    assert len(lengths) > 8


@each
def test_equal_seeds_give_equal_streams(representation: TokenRepresentation) -> None:
    model = Random(len(representation.tokens)).eval()
    first, again, other = (
        sample(model, representation, generator=seeded(seed), max_events=80, minimum_events=40) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_global_generator_is_left_alone() -> None:
    model = Random(133).eval()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    sample(model, MelodyRepresentation(), generator=seeded(1), max_events=20)
    assert torch.equal(torch.rand(1), expected)


@each
def test_a_model_that_never_ends_is_closed_at_the_limit(representation: TokenRepresentation) -> None:
    logits = torch.zeros(len(representation.tokens))
    logits[EOS] = -1e9
    for limit in range(20, 32):
        events = sample(Constant(logits), representation, generator=seeded(limit), max_events=limit)
        assert limit - 4 <= len(events) <= limit
        assert len(representation.decode(events)) > 0


def test_chords_are_released_before_the_limit() -> None:
    # nothing but strikes is wanted; the limit leaves room for ten notes with one velocity, one shift, and their ends
    performance = PerformanceRepresentation()
    logits = torch.full((len(performance.tokens),), -1e6)
    logits[performance.tokens.index("on_0") : performance.tokens.index("off_0")] = 50.0
    lowest = performance.tokens.index("on_0")
    logits[lowest : lowest + 128] -= torch.arange(128) * 30.0  # the lowest that is legal
    events = sample(Constant(logits), performance, generator=seeded(0), max_events=22)
    notes = performance.decode(events)
    assert len(events) == 22
    assert notes.pitch.tolist() == list(range(10))


def test_the_first_input_is_bos_and_every_token_is_fed_back() -> None:
    melody = MelodyRepresentation()
    wanted = [melody.tokens.index(name) for name in ("rest", "note_60", "hold", "<eos>")]
    model = Scripted(melody, wanted)
    assert sample(model, melody, generator=seeded(1)) == wanted[:-1]
    assert model.given == [BOS, *wanted[:-1]]


def test_a_primer_is_fed_and_continued() -> None:
    melody = MelodyRepresentation()
    note, hold, other = (melody.tokens.index(name) for name in ("note_60", "hold", "note_62"))
    # the script's first wishes fall on BOS and on all of the primer but its last token
    model = Scripted(melody, [other, other, hold, other, EOS])
    events = sample(model, melody, generator=seeded(1), primer=[note, hold])
    assert events == [note, hold, hold, other]
    assert model.given == [BOS, *events]


def test_an_illegal_wish_is_never_granted() -> None:
    melody = MelodyRepresentation()
    logits = torch.zeros(len(melody.tokens))
    logits[melody.tokens.index("hold")] = 1e6
    logits[0] = logits[BOS] = 1e9
    events = sample(Constant(logits), melody, generator=seeded(1), max_events=10, minimum_events=10)
    # a hold needs a note, so that comes first, by chance, perhaps behind rests
    first_note = next(place for place, token in enumerate(events) if token >= 5)
    assert events[first_note + 1 :] == [melody.tokens.index("hold")] * (9 - first_note)


def test_a_low_temperature_takes_the_likeliest_and_a_high_one_spreads() -> None:
    melody = MelodyRepresentation()
    logits = torch.zeros(len(melody.tokens))
    logits[melody.tokens.index("note_60")] = 3.0

    def variety(temperature: float) -> int:
        model = Constant(logits)
        return len(
            set(sample(model, melody, generator=seeded(1), temperature=temperature, max_events=60, minimum_events=60))
        )

    assert variety(0.05) == 1
    assert variety(1.0) < variety(5.0)


@each
def test_minimum_events_withholds_the_end(representation: TokenRepresentation) -> None:
    logits = torch.zeros(len(representation.tokens))
    logits[EOS] = 1e6
    assert sample(Constant(logits), representation, generator=seeded(1), max_events=60) == []
    events = sample(Constant(logits), representation, generator=seeded(1), max_events=60, minimum_events=30)
    assert len(events) >= 30
    assert len(representation.decode(events)) > 0


def test_no_room_gives_the_empty_stream() -> None:
    assert sample(Random(339).eval(), PerformanceRepresentation(), generator=seeded(1), max_events=0) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"temperature 0\.0, expected a number above 0"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"temperature": float("inf")}, "temperature inf"),
        ({"max_events": -1}, "max_events -1"),
        ({"minimum_events": 6, "max_events": 5}, "minimum_events 6, max_events 5"),
        ({"primer": [4]}, "primer, position 0: id 4 is illegal: there is no sounding note"),
        ({"primer": [5, EOS]}, "primer, position 1: id 2 is illegal: a primer must not contain <eos>"),
        ({"primer": [5, 3], "max_events": 2}, "a primer of 2 events, and 1 to complete it, exceed max_events 2"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample(Random(133).eval(), MelodyRepresentation(), generator=seeded(1), **options)  # type: ignore[arg-type]


def test_a_model_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"logits \[1, 100\], melody expects \[1, 133\]"):
        sample(Constant(torch.zeros(100)), MelodyRepresentation(), generator=seeded(1))


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        sample(Random(133).train(), MelodyRepresentation(), generator=seeded(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="logits contain NaN or infinity"):
        sample(Constant(torch.full((133,), value)), MelodyRepresentation(), generator=seeded(1))


# several at once


@each
def test_streams_drawn_together_are_those_drawn_alone(representation: TokenRepresentation) -> None:
    torch.manual_seed(3)
    model = EventModel(len(representation.tokens), embedding_size=8, hidden_size=16, cell="lstm", layers=2).eval()
    first = sample(model, representation, generator=seeded(9), max_events=30, minimum_events=30)
    options = SamplingOptions(temperature=1.3, top_p=0.95)

    def streams() -> list[Stream]:
        return [
            Stream(
                seeded(seed),
                grammar=representation.grammar() if seed % 2 else None,
                primer=first[: 3 * (seed % 3)],
                max_events=20 + 7 * seed,
                minimum_events=5 * (seed % 4),
            )
            for seed in range(1, 9)
        ]

    together = sample_many(model, representation, streams(), options)
    assert len(set(map(len, together))) > 1
    for number, ids in enumerate(together):
        representation.decode(ids)
        assert sample_many(model, representation, [streams()[number]], options) == [ids]
        assert ids[: len(streams()[number].primer)] == list(streams()[number].primer)
    # nor do they depend on which others are there
    assert sample_many(model, representation, streams()[2:5], options) == together[2:5]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name", [*(name for name in KINDS if name not in ("roll", "miditok")), "miditok:REMI", "miditok:TSD"]
)
def test_a_thousand_streams_of_every_representation_decode(name: str) -> None:
    representation = build_representation(name)
    assert isinstance(representation, TokenRepresentation)
    torch.manual_seed(3)
    model = EventModel(len(representation.tokens), embedding_size=8, hidden_size=16).eval()
    sampler = model.sampler()
    for first in range(0, 1000, 50):
        streams = [Stream(seeded(seed), max_events=seed % 150) for seed in range(first, first + 50)]
        for stream, ids in zip(streams, sample_many(sampler, representation, streams), strict=True):
            representation.decode(ids)
            assert stream.max_events is not None and len(ids) <= stream.max_events


def test_no_streams_are_none() -> None:
    assert sample_many(Random(133).eval(), MelodyRepresentation(), []) == []


def test_a_stream_that_cannot_be_drawn_refuses_all_before_the_first_step() -> None:
    melody = MelodyRepresentation()
    model = Scripted(melody, [])
    with pytest.raises(ValueError, match="primer, position 0: id 999 is illegal"):
        sample_many(model, melody, [Stream(seeded(1)), Stream(seeded(2), primer=[999])])
    assert model.given == []


# rolls

ROLLS = [RollRepresentation(), RollRepresentation(repeats="joined")]
each_roll = pytest.mark.parametrize("roll", ROLLS, ids=["apart", "joined"])


class RandomRoll(nn.Module):
    """Untrained, for frames."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.cell = nn.GRUCell(88, 8)
        self.output = nn.Linear(8, 88)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 8)

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(inputs, state)
        return self.output(state) - 1, state


class Echo:
    """Wants the keys of its input; keeps what it was given."""

    def __init__(self, loudness: float = 50.0) -> None:
        self.loudness, self.given = loudness, list[list[int]]()

    def initial_state(self, batch_size: int) -> None:
        return None

    def step(self, inputs: Tensor, state: None) -> tuple[Tensor, None]:
        self.given.append(inputs[0].nonzero()[:, 0].tolist())
        return (2 * inputs - 1) * self.loudness, None


@each_roll
def test_every_roll_decodes_strictly_and_keeps_its_limit(roll: RollRepresentation) -> None:
    model = RandomRoll().eval()
    for seed in range(20):
        frames = sample_roll(model, roll, generator=seeded(seed), frames=2 * seed)
        assert len(frames) <= 2 * seed
        assert frames.dtype == np.uint8
        np.testing.assert_array_equal(roll.encode(roll.decode(frames)), frames)


@each_roll
def test_equal_seeds_give_equal_rolls(roll: RollRepresentation) -> None:
    model = RandomRoll().eval()
    first, again, other = (sample_roll(model, roll, generator=seeded(seed), frames=16) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_first_frame_is_silent_and_every_frame_is_fed_back() -> None:
    model = Echo()
    primer = np.zeros((2, 88), dtype=np.uint8)
    primer[:, [39, 43]] = 1
    frames = sample_roll(model, ROLLS[0], generator=seeded(1), frames=6, primer=primer)
    assert model.given == [[], *[[39, 43]] * 5]
    assert frames.tolist() == [primer[0].tolist()] * 6


def test_silent_steps_at_the_end_are_left_out() -> None:
    assert sample_roll(Echo(), ROLLS[0], generator=seeded(1), frames=8).shape == (0, 88)
    primer = np.zeros((4, 88), dtype=np.uint8)
    primer[0:2, 39] = 1
    assert len(sample_roll(Echo(), ROLLS[0], generator=seeded(1), frames=8, primer=primer)) == 2


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Echo(), {"frames": 3}, "3 frames and a primer of 0, expected multiples of 2"),
        (Echo(), {"frames": 2, "temperature": 0.0}, "temperature 0"),
        (Echo(float("nan")), {"frames": 2}, r"logits \[1, 88\] or NaN in them, expected \[1, 88\] finite numbers"),
        (RandomRoll().train(), {"frames": 2}, r"call model\.eval\(\) first"),
        (
            Echo(),
            {"frames": 2, "primer": np.eye(2, 88, k=20, dtype=np.uint8)},
            "primer, frame 1: pitch 42 begins in the second frame of a step",
        ),
    ],
)
def test_rolls_that_cannot_be_drawn_are_refused(model: StepModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_roll(model, ROLLS[0], generator=seeded(1), **options)


def by_numpy(logits: np.ndarray, legal: np.ndarray, options: SamplingOptions) -> np.ndarray:
    """Probabilities [V] that a token is drawn with, computed one token after the other."""
    weights = np.where(legal, np.exp((logits - logits[legal].max()) / options.temperature), 0)
    weights /= weights.sum()
    order = sorted(range(len(weights)), key=lambda token: (-weights[token], token))
    if options.top_k is not None:
        order = order[: options.top_k]
    if options.top_p is not None:
        total, kept = sum(weights[token] for token in order), list[int]()
        while not kept or sum(weights[token] for token in kept) < options.top_p * total:
            kept.append(order[len(kept)])
        order = kept
    if options.min_p is not None:
        order = [token for token in order if weights[token] >= options.min_p * weights[order[0]]]
    chosen = np.zeros_like(weights)
    chosen[order] = weights[order]
    found: np.ndarray = chosen / chosen.sum()
    return found


logits_and_options = {
    "logits": st.lists(st.floats(-8, 8), min_size=8, max_size=8, unique_by=lambda x: round(x, 2)),
    "legal": st.lists(st.booleans(), min_size=8, max_size=8).filter(any),
    "temperature": st.floats(0.3, 3),
    "top_k": st.none() | st.integers(1, 10),
    "top_p": st.none() | st.floats(0.01, 1),
    "min_p": st.none() | st.floats(0, 1),
}


@given(**logits_and_options)
def test_filters_are_those_of_a_direct_computation(logits: list[float], legal: list[bool], **chosen: Any) -> None:
    options = SamplingOptions(**chosen)
    scores, mask = np.array(logits), np.array(legal)
    expected = by_numpy(scores, mask, options)
    masked = torch.tensor(logits, dtype=torch.float64).masked_fill(torch.tensor(~mask), -torch.inf)
    probabilities = torch.softmax(masked / options.temperature, dim=0)
    kept = filtered(probabilities, options.top_k, options.top_p, options.min_p).numpy()
    assert kept[~mask].sum() == 0 and kept.max() == probabilities.numpy().max() > 0
    both = (kept > 0) & (expected > 0)
    # a token may differ only where rounding decides whether a sum or a share is reached
    if ((kept > 0) == (expected > 0)).all():
        np.testing.assert_allclose(kept / kept.sum(), expected, rtol=1e-9, atol=1e-300)
    else:
        assert both.any() and np.count_nonzero((kept > 0) != (expected > 0)) == 1


@given(seed=st.integers(0, 1000), **logits_and_options)
def test_what_is_drawn_is_legal_and_repeats(logits: list[float], legal: list[bool], seed: int, **chosen: Any) -> None:
    options, mask, scores = SamplingOptions(**chosen), np.array(legal), torch.tensor(logits)
    (token,) = _draw(scores[None], mask[None], options, [seeded(seed)])
    assert mask[token] and [token] == _draw(scores[None], mask[None], options, [seeded(seed)])
    if options.top_k == 1:
        assert token == int(np.where(mask, scores.numpy(), -np.inf).argmax())


def test_equal_probabilities_keep_their_token() -> None:
    even = torch.full((4,), 0.25)
    assert filtered(even, top_k=1).count_nonzero() == 4  # all as likely as the first
    assert filtered(even, top_p=0.5).tolist() == [0.25, 0.25, 0, 0]
    assert filtered(even, min_p=1.0).equal(even)


@each
def test_filters_that_keep_all_change_nothing(representation: TokenRepresentation) -> None:
    model = Random(len(representation.tokens)).eval()
    plain = sample(model, representation, generator=seeded(5), max_events=80)
    size = len(representation.tokens)
    for options in ({}, {"top_k": size}, {"top_p": 1.0}, {"min_p": 0.0}):
        assert sample(model, representation, generator=seeded(5), max_events=80, **options) == plain
    narrow = sample(model, representation, generator=seeded(5), max_events=80, top_k=3, top_p=0.9, min_p=0.05)
    representation.decode(narrow)
    assert narrow == sample(model, representation, generator=seeded(5), max_events=80, top_k=3, top_p=0.9, min_p=0.05)


def test_defaults_draw_as_before() -> None:
    """The draw without filters: a softmax of the legal logits and one multinomial."""
    for seed in range(50):
        logits = torch.randn(20, generator=seeded(seed))
        legal = np.random.default_rng(seed).random(20) < 0.5
        legal[seed % 20] = True
        before = torch.softmax(logits.masked_fill(torch.from_numpy(~legal), -torch.inf) / 0.9, dim=0)
        expected = int(torch.multinomial(before, 1, generator=seeded(seed)))
        assert _draw(logits[None], legal[None], SamplingOptions(temperature=0.9), [seeded(seed)]) == [expected]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"top_k": 0}, "top_k 0"), ({"top_p": 0.0}, "top_p 0"), ({"top_p": 1.5}, "top_p 1.5"), ({"min_p": -0.1}, "min_p")],
)
def test_filters_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    representation = MelodyRepresentation()
    with pytest.raises(ValueError, match=words):
        sample(Random(len(representation.tokens)).eval(), representation, generator=seeded(1), **options)
