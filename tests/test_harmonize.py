"""Voices that are held while a model writes the others: note for note, whatever the model says, and as a command."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Command, assert_refused
from seqaudio.errors import OptionError
from seqaudio.midi import read_midi
from seqaudio.midi.writing import write_midi
from seqaudio.models import build_model
from seqaudio.notes import NoteSequence
from seqaudio.notes.sequence import TimeSignature
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.four_voices import VOICES, four_voices
from seqaudio.tokens.held_voices import HeldVoices
from seqaudio.vocabulary import EOS

CHORALE = ChoraleRepresentation()
NAMES = [name.lower() for name in VOICES]
HOLDABLE = [names for count in (1, 2, 3) for names in combinations(NAMES, count)]


def four_parts(seed: int, beats: int = 13, metre: TimeSignature = TimeSignature(0, 3, 4)) -> NoteSequence:  # noqa: B008
    """Four voices in quarters, halves and eighths, with rests, which cross at times."""
    draw = np.random.default_rng(seed)
    rows = []
    for track in range(4):
        at = 0
        while at < 480 * beats:
            length = int(draw.choice([240, 480, 960]))
            if draw.random() > 0.2:
                rows.append((at, min(at + length, 480 * beats), 74 - 6 * track + int(draw.integers(-5, 6)), track))
            at += length
    start, end, pitch, track = np.array(rows).T
    return NoteSequence.from_columns(start, end, pitch, track=track, time_signatures=[metre], track_names=VOICES)


def drawn(held: HeldVoices, seed: int) -> list[int]:
    """A stream of legal tokens, all equally likely."""
    draw, grammar, ids = np.random.default_rng(seed), held.grammar(), list[int]()
    while True:
        legal = np.flatnonzero(grammar.legal(held.most_tokens - len(ids)))
        token = int(draw.choice(legal))
        grammar.push(token)
        if token == EOS:
            return ids
        assert grammar.shortest_end() <= held.most_tokens - len(ids)
        ids.append(token)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(HOLDABLE), st.sampled_from([(3, 4), (4, 4), (6, 8)]))
def test_held_voices_stay_whatever_is_drawn(seed: int, names: tuple[str, ...], metre: tuple[int, int]) -> None:
    piece = four_parts(seed, metre=TimeSignature(0, *metre))
    held = HeldVoices.of(CHORALE, piece, names)
    made = CHORALE.decode(drawn(held, seed))
    before, after = four_voices(CHORALE.quantise(piece), 4), four_voices(made, 4)
    for name in names:
        for part, same in zip(before[NAMES.index(name)], after[NAMES.index(name)], strict=True):
            np.testing.assert_array_equal(part, same)
    assert made.last_tick <= held.bars * CHORALE.ids.bar_steps[held.signature]


def test_the_original_is_one_of_the_streams() -> None:
    piece = four_parts(3)
    held = HeldVoices.of(CHORALE, piece, ("soprano", "bass"))
    grammar = held.grammar()
    for token in [*CHORALE.encode(piece).tolist(), EOS]:
        assert grammar.legal()[token]
        grammar.push(token)


def test_a_refused_token_changes_nothing() -> None:
    held = HeldVoices.of(CHORALE, four_parts(1), ("soprano",))
    grammar = held.grammar()
    grammar.push(CHORALE.ids.time_signature + held.signature)
    before = grammar.legal()
    for token in (EOS, CHORALE.ids.note + 60, CHORALE.ids.size):
        with pytest.raises(ValueError):
            grammar.push(token)
        np.testing.assert_array_equal(grammar.legal(), before)


def test_other_voices_have_the_pitches_that_are_allowed() -> None:
    allowed = np.zeros(CHORALE.ids.size, dtype=bool)
    allowed[CHORALE.ids.note + 48 : CHORALE.ids.note + 53] = True
    piece = four_parts(5)
    held = HeldVoices.of(CHORALE, piece, ("soprano",), allowed)
    made = CHORALE.decode(drawn(held, 1))
    assert set(made.select(made.track > 0).pitch.tolist()) <= set(range(48, 53))


def parallels(notes: NoteSequence) -> int:
    """Pairs of voices that move the same way from a fifth, octave or unison to another one, at any step."""
    grid = np.full((notes.last_tick, 4), -1)
    for start, end, pitch, track in zip(notes.start_tick, notes.end_tick, notes.pitch, notes.track, strict=True):
        grid[start:end, track] = pitch
    found = 0
    for old, new in pairwise(grid.tolist()):
        for a, b in combinations(range(4), 2):
            moved = min(old[a], old[b], new[a], new[b]) >= 0 and (new[a] - old[a]) * (new[b] - old[b]) > 0
            before, after = abs(old[a] - old[b]) % 12, abs(new[a] - new[b]) % 12
            found += moved and before in (0, 7) and after == before
    return found


def test_new_voices_make_no_parallels_unless_they_may() -> None:
    few = np.zeros(CHORALE.ids.size, dtype=bool)
    few[[CHORALE.ids.note + pitch for pitch in (48, 50, 52, 53, 55, 57, 59, 60, 62, 64)]] = True
    counts = {}
    for allowed in (False, True):
        held = (HeldVoices.of(CHORALE, four_parts(seed), ("soprano",), few, allowed) for seed in range(12))
        counts[allowed] = sum(parallels(CHORALE.decode(drawn(one, seed))) for seed, one in enumerate(held))
    assert counts[False] == 0
    assert counts[True] > 5


def test_a_piece_of_one_track_is_the_voice_that_is_named() -> None:
    piece = four_parts(2)
    bass = piece.select(piece.track == 3)
    held = HeldVoices.of(CHORALE, bass, ("bass",))
    assert list(held.columns) == [3]


@pytest.mark.parametrize(
    ("names", "words"),
    [(("treble",), "no voice is called 'treble'"), (tuple(NAMES), "4 voices to hold"), (("alto", "bass"), "no alto")],
)
def test_voices_that_cannot_be_held_are_refused(names: tuple[str, ...], words: str) -> None:
    piece = four_parts(2)
    with pytest.raises(OptionError, match=words):
        HeldVoices.of(CHORALE, piece if len(names) != 2 else piece.select(piece.track == 0), names)


@pytest.fixture(scope="module")
def chorale_run(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of chorales."""
    folder = tmp_path_factory.mktemp("chorales")
    (folder / "midi").mkdir()
    for seed in range(10):
        write_midi(four_parts(seed), folder / "midi" / f"{seed}.mid")
    source = ("--source", folder / "midi", "--out", folder / "store")
    done = command("data_prep/midi_folder.py", *source, "--representation", "chorale")
    assert done.returncode == 0, done.stderr
    arguments = {"vocabulary_size": len(CHORALE.tokens), "embedding_size": 8, "hidden_size": 12}
    run = RunFolder.create(
        folder / "run", recipe="music_generation", settings={}, store=Store(folder / "store"), resume=False,
        model={"name": "events", "arguments": arguments},
    )  # fmt: skip
    torch.manual_seed(1)
    run.save_weights(build_model("events", arguments))
    return folder / "run"


def test_a_melody_is_harmonised(command: Command, chorale_run: Path, tmp_path: Path) -> None:
    piece = four_parts(7)
    melody = piece.select(piece.track == 0)
    write_midi(melody, tmp_path / "melody.mid")
    options = (tmp_path / "melody.mid", "--out", tmp_path / "four.mid", "--count", "2", "--tries", "2", "--png")
    done = command("seqaudio", "harmonize", chorale_run, *options)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 and "nats an event" in done.stdout
    first, second = (read_midi(tmp_path / f"four-{number}.mid") for number in (1, 2))
    assert (tmp_path / "four-2.png").stat().st_size > 5000
    for made in (first, second):
        soprano = made.select(made.track == made.track_names.index("Soprano"))
        scale = made.ticks_per_quarter / melody.ticks_per_quarter
        assert (soprano.start_tick / scale).tolist() == melody.start_tick.tolist()
        assert soprano.pitch.tolist() == melody.pitch.tolist()
        assert [one.name for one in made.time_signatures] == ["3/4"]
        assert made.tempo.tolist() == melody.tempo.tolist()
    assert first.pitch.tolist() != second.pitch.tolist()
    again = command("seqaudio", "harmonize", chorale_run, *options, "--force")
    assert again.returncode == 0, again.stderr
    assert read_midi(tmp_path / "four-1.mid").pitch.tolist() == first.pitch.tolist(), "equal seeds, equal pieces"


def test_what_cannot_be_harmonised_is_one_line(
    command: Command, chorale_run: Path, tune_run: Path, tmp_path: Path
) -> None:
    write_midi(four_parts(7), tmp_path / "piece.mid")
    out = ("--out", tmp_path / "new.mid")
    refused = command("seqaudio", "harmonize", tune_run, tmp_path / "piece.mid", *out)
    assert_refused(refused, "harmonising needs four voices", "--representation chorale")
    refused = command("seqaudio", "harmonize", chorale_run, tmp_path / "piece.mid", *out, "--hold", "lute")
    assert_refused(refused, "no voice is called 'lute'")
    refused = command("seqaudio", "harmonize", chorale_run, tmp_path / "none.mid", *out)
    assert_refused(refused, "no such file")
    assert not (tmp_path / "new.mid").exists()


def test_new_voices_keep_to_the_key(command: Command, chorale_run: Path, tmp_path: Path) -> None:
    write_midi(four_parts(7).select(four_parts(7).track == 0), tmp_path / "melody.mid")
    out = (tmp_path / "melody.mid", "--out", tmp_path / "four.mid", "--tries", "1", "--force")
    done = command("seqaudio", "harmonize", chorale_run, *out, "--key", "E major", "--temperature", "2")
    assert done.returncode == 0, done.stderr
    made = read_midi(tmp_path / "four.mid")
    new = made.select(made.track != made.track_names.index("Soprano"))
    assert set((new.pitch % 12).tolist()) <= {4, 6, 8, 9, 11, 1, 3}
    assert [(key.sharps, key.minor) for key in made.key_signatures] == [(4, False)]
    assert f"guaranteed by the mask: key E major (100 % of {len(new):,} new notes)" in done.stdout
    assert_refused(command("seqaudio", "harmonize", chorale_run, *out, "--key", "H major"), "--key 'H major'")


def test_the_melody_is_not_replaced(command: Command, chorale_run: Path, tmp_path: Path) -> None:
    melody = tmp_path / "melody.mid"
    write_midi(four_parts(3), melody)
    before = melody.read_bytes()
    done = command("seqaudio", "harmonize", chorale_run, melody, "--out", tmp_path / "." / "melody.mid", "--force")
    assert_refused(done, "the file that is read", "choose another name")
    assert melody.read_bytes() == before
