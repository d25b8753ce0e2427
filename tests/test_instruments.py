"""Names of instruments, and pieces in which no others are heard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from test_bounds import drawn, learned, representation_named, tune

from conftest import Command, assert_refused
from seqaudio.decoding.kept_wishes import kept_wishes
from seqaudio.decoding.plan import Plan, Wishes
from seqaudio.errors import OptionError
from seqaudio.midi import read_midi
from seqaudio.midi.programs import DRUMS, FAMILIES, instruments_named, part_name
from seqaudio.notes import NoteSequence
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.tokens.bars import BarsRepresentation


def band(seed: int) -> NoteSequence:
    """Piano, bass, violin, flute and drums, four bars."""
    draw = np.random.default_rng(seed)
    start = np.sort(draw.integers(0, 64, 60)) * 120
    return NoteSequence.from_columns(
        start, start + draw.choice([120, 240, 480], 60), draw.integers(36, 84, 60), draw.integers(40, 100, 60),
        draw.choice([0, 33, 40, 73], 60), is_drum=draw.random(60) < 0.25,
    )  # fmt: skip


def tokens_of(tokeniser: str) -> TokenRepresentation:
    made = build_representation(f"miditok:{tokeniser}", {"programs": True})
    assert isinstance(made, TokenRepresentation)
    return made


@pytest.mark.parametrize(("text", "parts"), [
    ("piano", tuple(range(8))), ("Alto Sax", (65,)), ("church", (19,)), ("honky", (3,)), ("0", (0,)), ("127", (127,)),
    ("drums", (DRUMS,)), ("fretless", (35,)), ("violin", (40,)), ("steel drums", (114,)), ("piano,violin", None),
])  # fmt: skip
def test_a_name_means_one_instrument_or_family(text: str, parts: tuple[int, ...] | None) -> None:
    found = instruments_named(text)
    if parts is None:
        assert [one.name for one in found] == ["Piano", "Violin"]
    else:
        assert [one.parts for one in found] == [parts]


def test_every_instrument_and_family_is_known_by_its_own_name() -> None:
    for part in range(DRUMS + 1):
        assert [one.parts for one in instruments_named(part_name(part))] == [(part,)]
    for number, family in enumerate(FAMILIES):
        ((family_parts,),) = [[one.parts for one in instruments_named(family)]]
        assert number * 8 in family_parts


@pytest.mark.parametrize(("text", "words"), [
    ("sax", "Soprano Sax, Alto Sax, Tenor Sax"), ("kazoo", "no instrument 'kazoo'"), ("128", "expected 0 to 127"),
    ("piano,", "no instrument ''"), ("synth", "..."),
])  # fmt: skip
def test_other_names_are_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        instruments_named(text)


@pytest.mark.parametrize("tokeniser", ["REMI", "TSD", "Structured", "MuMIDI", "MMM", "BEAT"])
def test_no_other_instrument_is_sampled(tokeniser: str) -> None:
    representation = tokens_of(tokeniser)
    repertoire = learned(representation, [band(seed) for seed in range(8)])
    heard = 0
    for names in ("piano", "flute,bass", "drums,violin"):
        for wild in (False, True):
            plan = Plan(representation, repertoire, Wishes(instruments=instruments_named(names), wild=wild))
            for seed in range(3 if representation.ends_on_bars else 8):
                _, bounds, notes = drawn(plan, seed, 150)
                parts = np.where(notes.is_drum, DRUMS, notes.program)
                assert set(parts.tolist()) <= set(plan.parts)
                (kept,) = kept_wishes(plan, bounds, notes, notes)
                assert (kept.name, kept.share, kept.guaranteed) == ("instruments", 1.0, True)
                heard += len(notes)
    assert heard


def test_an_instrument_that_no_training_piece_has_needs_wild() -> None:
    representation = tokens_of("REMI")
    repertoire = learned(representation, [band(seed) for seed in range(8)])
    wished = instruments_named("tuba")
    with pytest.raises(OptionError, match=r"no training piece has it; they have Acoustic Grand Piano, .*Drums"):
        Plan(representation, repertoire, Wishes(instruments=wished))
    assert Plan(representation, repertoire, Wishes(instruments=wished, wild=True)).parts == (58,)


def test_one_voice_has_one_instrument() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed, program=3) for seed in range(8)])
    family = Plan(representation, repertoire, Wishes(instruments=instruments_named("piano")))
    assert family.program == 3, "of a family, that of the training pieces"
    assert Plan(representation, repertoire, Wishes(instruments=instruments_named("strings"))).program == 40
    _, bounds, notes = drawn(family, 1)
    (kept,) = kept_wishes(family, bounds, notes, notes)
    assert str(kept) == f"instruments Piano (100 % of {len(notes):,} notes)" and not kept.guaranteed
    for names, words in (("piano,bass", "writes all notes for one instrument"), ("drums", "leaves drums out")):
        with pytest.raises(OptionError, match=words):
            Plan(representation, repertoire, Wishes(instruments=instruments_named(names)))


def test_a_piece_has_the_instrument_asked_for(command: Command, tune_run: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x.mid")
    done = command("seqaudio", "generate", tune_run, *out, "--instruments", "flute", "--bars", "4")
    assert done.returncode == 0, done.stderr
    assert "instruments Flute (100 % of" in done.stdout
    assert set(read_midi(tmp_path / "x.mid").program.tolist()) == {73}
    refused = command("seqaudio", "generate", tune_run, *out, "--instruments", "piano,bass", "--force")
    assert_refused(refused, "--instruments Piano, Bass", "one instrument")
    refused = command("seqaudio", "generate", tune_run, *out, "--instruments", "flute", "--program", "3", "--force")
    assert_refused(refused, "exclude each other")


def test_only_what_is_new_is_written(command: Command, tune_run: Path, tune_folder: Path, tmp_path: Path) -> None:
    whole, new = tmp_path / "whole.mid", tmp_path / "new.mid"
    primed = ("--primer", tune_folder / "tune00.mid", "--primer-events", "30", "--seed", "2")
    for out, more in ((whole, ()), (new, ("--without-primer",))):
        done = command("seqaudio", "generate", tune_run, "--out", out, *primed, *more)
        assert done.returncode == 0, done.stderr
    both, later = read_midi(whole), read_midi(new)
    assert 0 < len(later) < len(both)
    shift = both.last_tick - later.last_tick
    bar = 4 * both.ticks_per_quarter * both.time_signatures[0].numerator // both.time_signatures[0].denominator
    assert shift % bar == 0
    begun = [set(zip(notes.start_tick.tolist(), notes.pitch.tolist(), strict=True)) for notes in (both, later)]
    moved = {(tick + shift, pitch) for tick, pitch in begun[1]}
    primer = BarsRepresentation().quantise(read_midi(tune_folder / "tune00.mid"))
    own = set(zip((primer.start_tick * 40).tolist(), primer.pitch.tolist(), strict=True))
    left = begun[0] - moved
    assert left and left <= own and max(left)[0] <= min(moved)[0] + bar
    assert moved <= begun[0] and len(later) + len(left) == len(both)
    assert later.tempo.tolist() == both.tempo.tolist()
    assert later.time_signatures[0].name == both.time_signatures[0].name
    refused = command("seqaudio", "generate", tune_run, "--out", tmp_path / "x.mid", "--without-primer")
    assert_refused(refused, "give one by --primer")
