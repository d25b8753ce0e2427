"""Pieces within bounds: whatever a model wants, they end on their bar line, and nothing is longer than was learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from seqaudio.decoding.plan import Plan
from seqaudio.decoding.sampling import sample
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.tokens.repertoire import Repertoire, Shape

QUARTER = 480
NAMES = {
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


def tune(seed: int, metre: TimeSignature = TimeSignature(0, 6, 8), **more: object) -> NoteSequence:
    """Four voices in whole bars of a metre: chords of a quarter or an eighth, sometimes a rest, a long last chord."""
    draw = np.random.default_rng(seed)
    bar = 4 * QUARTER * metre.numerator // metre.denominator
    count = int(draw.integers(3, 9))
    start, length, now = [], [], int(draw.integers(0, 2)) * bar // 2
    while now < count * bar - QUARTER:
        start.append(now)
        length.append(int(draw.choice([QUARTER // 2, QUARTER // 2, QUARTER])))
        now += length[-1] + (QUARTER // 2 if draw.random() < 0.1 else 0)
    start.append(now)
    length.append(count * bar - now)
    voices = [(int(base) + draw.integers(0, 9, len(start)), track) for track, base in enumerate((70, 60, 50, 40))]
    starts, lengths = np.array(start), np.array(length)
    return NoteSequence.from_columns(
        np.tile(starts, 4),
        np.tile(starts + lengths, 4),
        np.concatenate([pitch for pitch, _ in voices]),
        draw.integers(60, 64, 4 * len(start)),
        24,
        np.repeat(range(4), len(start)),
        time_signatures=[metre],
        **{"tempos": [(0, 400_000)], "track_names": ("Soprano", "Alto", "Tenor", "Bass")} | more,  # type: ignore[arg-type]
    )


def learned(representation: TokenRepresentation, tunes: list[NoteSequence]) -> Repertoire:
    shapes = [shape for one in tunes if (shape := Shape.of(one, representation)) is not None]
    found = Repertoire.of(shapes, {int(token) for one in tunes for token in representation.encode(one)})
    assert found is not None
    return found


def representation_of(name: str) -> TokenRepresentation:
    made = build_representation(*NAMES[name])
    assert isinstance(made, TokenRepresentation)
    return made


class Wilful:
    """Other random logits at every step, which want whatever they want."""

    def __init__(self, size: int, seed: int, width: float = 3.0) -> None:
        self.size, self.draw, self.width = size, np.random.default_rng(seed), width

    def initial_state(self, batch_size: int) -> None:
        return None

    def step(self, inputs: Tensor, state: None) -> tuple[Tensor, None]:
        return torch.from_numpy(self.draw.normal(0, self.width, (1, self.size))), None


def drawn(plan: Plan, seed: int) -> tuple[list[int], NoteSequence]:
    generator = torch.Generator().manual_seed(seed)
    bounds = plan.bounds(generator)
    ids = sample(
        Wilful(len(plan.representation.tokens), seed),
        plan.representation,
        generator=generator,
        max_events=None,
        primer=plan.primer_ids,
        grammar=None if bounds is None else plan.representation.bounded(bounds),
    )
    return ids, plan.played(plan.representation.decode(ids))


def bars_of(notes: NoteSequence, metre: TimeSignature) -> float:
    return notes.last_tick / (4 * notes.ticks_per_quarter * metre.numerator / metre.denominator)


SEEDS = 40


@on_bars
def test_every_piece_keeps_to_what_was_learned(name: str) -> None:
    metre = TimeSignature(0, 6, 8)
    representation = representation_of(name)
    tunes = [tune(seed, metre) for seed in range(12)]
    repertoire = learned(representation, tunes)
    plan = Plan(representation, repertoire)
    lengths = set()
    for seed in range(SEEDS):
        ids, notes = drawn(plan, seed)
        assert set(ids) <= set(repertoire.tokens)
        decoded = representation.decode(ids)
        assert (decoded.end_tick - decoded.start_tick).max() <= repertoire.longest
        assert set(notes.pitch.tolist()) <= {int(pitch) for one in tunes for pitch in one.pitch}
        bars = bars_of(notes, metre)
        assert bars == int(bars)
        assert int(bars) in repertoire.bars("6/8")
        lengths.add(bars)
        assert [sign.name for sign in notes.time_signatures] == ["6/8"]
        assert notes.tempo.tolist() == [400_000]
        assert set(notes.program.tolist()) == {24}
        if name != "second":
            assert representation.encode(decoded).tolist() == ids
    assert len(lengths) > 3
