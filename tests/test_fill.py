"""Bars that are written into a piece: what is outside stays, whatever a model says; training for it; the command."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import Command, assert_refused
from made_up import Wilful
from seqaudio.batching import BarMarks, FilledBatches, FilledRows, Lanes, PaddedBatches, TokenSequences
from seqaudio.decoding.filling import Stretch, marks_of
from seqaudio.decoding.sampling import sample
from seqaudio.errors import OptionError
from seqaudio.midi import read_midi, write_midi
from seqaudio.models import MusicModelOptions
from seqaudio.models.events import EventModel, narrowed
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens.bars import BarsRepresentation
from seqaudio.tokens.bounds import Bounds
from seqaudio.vocabulary import EOS, FILL_MARKS, MOST_FILLED

BARS = BarsRepresentation()
SAMPLES = int(os.environ.get("SEQAUDIO_SAMPLES", "60"))
SMALL = ("--hidden-size", "12", "--embedding-size", "8", "--device", "cpu", "--threads", "1", "--dropout", "0")


def piece(seed: int, bars: int = 9) -> NoteSequence:
    """Two tracks and drums, off the grid, held over bar lines, with an upbeat, a change of metre or gaps at times."""
    draw = np.random.default_rng(seed)
    resolution = int(draw.choice([480, 220, 96]))
    metres = [TimeSignature(0, 3, 4)]
    if draw.random() < 0.5:
        metres = [TimeSignature(0, 1, 4), TimeSignature(resolution, 3, 4)]
    if draw.random() < 0.5:
        metres.append(TimeSignature(metres[-1].tick + 4 * 3 * resolution, 2, 4))
    rows = []
    last = bars * 3 * resolution
    for track, (middle, program) in enumerate(((72, 0), (48, 32))):
        at = 0
        while at < last:
            length = int(draw.integers(1, 3 * resolution))
            if draw.random() < 0.8:
                early = max(0, at - int(draw.integers(0, resolution // 10)))
                pitch = middle + int(draw.integers(-7, 8))
                rows.append((early, at + length, pitch, int(draw.integers(1, 128)), program, track, False))
            at += length
    rows += [(beat * resolution, beat * resolution + 10, 38, 90, 0, 2, True) for beat in range(bars)]
    start, end, pitch, velocity, program, track, drum = np.array(rows).T
    return NoteSequence.from_columns(
        start, end, pitch, velocity, program, track, drum > 0, ticks_per_quarter=resolution, time_signatures=metres,
        tempos=[(0, 400_000), (900, 500_000)], track_names=("Right", "Left", "Drums"),
    )  # fmt: skip


def rows_of(notes: NoteSequence, scale: int = 1) -> list[tuple[int, ...]]:
    columns = (
        notes.start_tick * scale,
        notes.end_tick * scale,
        notes.pitch,
        notes.velocity,
        notes.program,
        notes.track,
    )
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def written(stretch: Stretch, seed: int) -> list[int]:
    context, generator = stretch.context, torch.Generator().manual_seed(seed)
    model = Wilful(len(stretch.tokens), seed)
    return sample(model, stretch, generator=generator, max_events=None, primer=context)[len(context) :]


@settings(max_examples=SAMPLES)
@given(st.integers(0, 100_000), st.integers(1, 9), st.integers(1, MOST_FILLED))
def test_everything_outside_stays_whatever_is_drawn(seed: int, first: int, count: int) -> None:
    given_piece = piece(seed)
    count = min(count, 10 - first, 7)
    stretch = Stretch.of(BARS, given_piece, first, first + count - 1)
    assert len(stretch.metres) == count
    for number in range(4):
        middle = written(stretch, seed + number)
        assert middle.count(BARS.ids.bar) == count
        decoded = BARS.decode(stretch.joined(middle))
        begins = decoded.start_tick
        inside = (begins >= stretch.lines[0]) & (begins < stretch.lines[-1])
        assert inside.any()
        assert decoded.end_tick[inside].max() <= stretch.lines[-1]
        original = BARS.quantise(given_piece)
        apart = (original.start_tick < stretch.lines[0]) | (original.start_tick >= stretch.lines[-1])
        columns = ("start_tick", "pitch", "velocity")
        for name in columns:
            np.testing.assert_array_equal(getattr(decoded, name)[~inside], getattr(original, name)[apart])
        made = stretch.filled(middle)
        scale = made.ticks_per_quarter // given_piece.ticks_per_quarter
        kept = rows_of(given_piece.select(~stretch.inside), scale)
        new = list(rows_of(made))
        for row in kept:
            new.remove(row)
        assert len(new) == np.count_nonzero(inside)
        assert sorted(row[2] for row in new) == sorted(decoded.pitch[inside].tolist())
        for start, end, pitch, *_ in new:
            assert 0 <= start < end
            assert not any(a < end and start < b and p == pitch for a, b, p, _, program, track in kept if track < 2)
        assert [one.name for one in made.time_signatures] == [one.name for one in given_piece.time_signatures]


@settings(max_examples=SAMPLES // 2)
@given(st.integers(0, 100_000), st.sampled_from([(1, 2), (4, 6), (8, 9)]), st.integers(1, 3))
@example(249, (1, 2), 2)  # no length that the longest note allows
def test_few_tokens_are_enough(seed: int, asked: tuple[int, int], pitches: int) -> None:
    given_piece, ids = piece(seed), BARS.ids
    draw = np.random.default_rng(seed)
    tokens = np.zeros(ids.size, dtype=np.bool_)
    tokens[ids.note + draw.choice(np.arange(55, 65), pitches, replace=False)] = True
    tokens[ids.length(1) + draw.choice(100, 2, replace=False)] = True
    tokens[ids.step + draw.choice(24, 2, replace=False)] = True
    stretch = Stretch.of(BARS, given_piece, *asked, Bounds(tokens, 96))
    bounded = np.r_[ids.step : ids.velocity, ids.note : ids.size]
    stretch = replace(stretch, allowed=tokens | ~np.isin(np.arange(ids.size), bounded))
    if not stretch.has_room():
        return
    for number in range(3):
        middle = written(stretch, seed + number)
        BARS.decode(stretch.joined(middle))
        assert all(tokens[token] for token in middle if token >= ids.note or ids.step <= token < ids.velocity)


@given(st.integers(0, 1_000))
@settings(max_examples=20)
def test_a_shortest_end_is_never_too_long(seed: int) -> None:
    stretch = Stretch.of(BARS, piece(seed), 7, 9)
    grammar = stretch.grammar()
    ids = [*stretch.context, *written(stretch, seed)]
    for place, token in enumerate(ids):
        assert grammar.shortest_end() <= len(ids) - place
        assert (grammar.shortest_end() == 0) == bool(grammar.legal()[EOS])
        grammar.push(token)
    grammar.push(EOS)
    assert not grammar.legal().any()


def test_a_refused_token_changes_nothing() -> None:
    stretch = Stretch.of(BARS, piece(1), 2, 3)
    grammar = stretch.grammar()
    for token in stretch.context:
        with pytest.raises(ValueError):
            grammar.push(EOS)
        grammar.push(token)
    before = grammar.legal()
    for token in (EOS, BARS.ids.note, stretch.marks.fill, len(stretch.tokens)):
        with pytest.raises(ValueError):
            grammar.push(token)
        np.testing.assert_array_equal(grammar.legal(), before)
    with pytest.raises(ValueError, match="without a limit"):
        grammar.legal(5)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [(9, 12, "the piece has bars 1 to"), (1, 9, "at most 8"), (0, 2, "the piece has bars 1 to")],
)
def test_bars_that_cannot_be_filled_are_refused(first: int, last: int, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Stretch.of(BARS, piece(4), first, last)


# --- batches ---


class Rows:
    """Sequences as a split has them."""

    def __init__(self, sequences: list[np.ndarray]) -> None:
        self.sequences = sequences
        self.ids = [str(row) for row in range(len(sequences))]
        self.lengths = np.array([len(one) for one in sequences])

    def __len__(self) -> int:
        return len(self.sequences)

    def sequence(self, row: int) -> np.ndarray:
        return self.sequences[row]


MARKS = BarMarks(BARS.ids.bar, range(BARS.ids.metre, BARS.ids.bar), BARS.ids.size)


@pytest.fixture(scope="module")
def encoded() -> Rows:
    return Rows([BARS.encode(piece(seed, bars=1 + seed % 6)) for seed in range(20)])


def restored(ids: list[int]) -> list[int]:
    """A sequence with its last bars where they were."""
    fill = ids.index(MARKS.fill)
    (gap,) = (place for place, token in enumerate(ids) if MARKS.size <= token < MARKS.fill)
    middle = ids[fill + 1 :]
    assert middle.count(BARS.ids.bar) == ids[gap] - MARKS.size + 1
    return [*ids[:gap], *middle, *ids[gap + 1 : fill]]


def test_a_share_of_the_sequences_has_its_bars_moved(encoded: Rows) -> None:
    rows = FilledRows(encoded, MARKS, 0.5, seed=3)
    seen = set()
    for epoch in range(6):
        now, again = rows.in_epoch(epoch), FilledRows(encoded, MARKS, 0.5, seed=3).in_epoch(epoch)
        assert np.count_nonzero(now.moved) == round(0.5 * len(rows.longer))
        assert now.lengths.sum() == rows.in_epoch(0).lengths.sum()
        for row in range(len(encoded)):
            ids = now.sequence(row).tolist()
            assert len(ids) == now.lengths[row]
            assert ids == again.sequence(row).tolist()
            original = encoded.sequence(row).tolist()
            assert (restored(ids) if now.moved[row] else ids) == original
        seen.add(tuple(now.moved))
    assert len(seen) > 3


def test_marks_are_no_targets(encoded: Rows) -> None:
    rows = FilledRows(encoded, MARKS, 1.0, seed=3)
    for batches in (
        FilledBatches(rows, lambda held: Lanes(held, 4, 32, seed=1)),
        FilledBatches(rows, lambda held: PaddedBatches(TokenSequences(held), 4, seed=1)),
    ):
        for epoch in range(2):
            found = list(batches.epoch(epoch))
            assert len(found) == len(batches)
            for batch in found:
                assert batch.weights is not None and batch.targets is not None
                assert torch.equal(batch.weights == 0, batch.targets >= MARKS.size)
            later = list(batches.epoch(epoch, 2))
            assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(found[2:], later, strict=True))


def test_without_a_share_batches_are_those_of_before(encoded: Rows) -> None:
    none = FilledBatches(FilledRows(encoded, MARKS, 0.0, seed=3), lambda held: Lanes(held, 4, 32, seed=1))
    for a, b in zip(none.epoch(2), Lanes(encoded, 4, 32, seed=1).epoch(2), strict=True):
        assert b.targets is not None and a.targets is not None and a.weights is not None
        assert torch.equal(a.inputs, b.inputs) and torch.equal(a.targets, b.targets) and a.weights.all()


def test_a_narrowed_model_knows_its_first_tokens_alone() -> None:
    torch.manual_seed(1)
    model = EventModel(12, 4, hidden_size=5).eval()
    small = narrowed(model, 9)
    wide, _ = model.step(torch.tensor([3]), model.initial_state(1))
    narrow, _ = small.step(torch.tensor([3]), small.initial_state(1))
    torch.testing.assert_close(narrow, wide[:, :9])
    assert narrowed(model, 12) is model


# --- training and the command ---


@pytest.fixture(scope="module")
def filling_run(command: Command, tune_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of tunes that was trained to fill in bars, for seconds."""
    run = tmp_path_factory.mktemp("filling") / "run"
    options = ("--fill", "0.5", "--epochs", "4", "--batch-size", "4", "--advance", "32", *SMALL)
    done = command("recipes/music_generation/train.py", "--store", tune_store, "--run", run, *options)
    assert done.returncode == 0, done.stderr
    return run


def test_a_training_keeps_its_marks_and_measures_filled_bars(filling_run: Path, tune_store: Path) -> None:
    run = RunFolder(filling_run)
    assert run.vocabulary.names == (*Store(tune_store).names, *FILL_MARKS)
    assert marks_of(run) == MARKS
    assert run.config["model"]["name"] == "events"
    valid = json.loads((filling_run / "results.json").read_text())["valid"]
    assert 0 < valid["nats_per_filled_event"] < np.log(len(run.vocabulary))
    assert valid["nats_per_event"] > 0


def test_it_is_evaluated(command: Command, filling_run: Path) -> None:
    done = command("recipes/music_generation/evaluate.py", "--run", filling_run, "--json")
    assert done.returncode == 0, done.stderr
    assert "nats_per_filled_event" in done.stdout


@pytest.mark.parametrize("use", ["generate", "score"])
def test_other_commands_know_its_plain_order(
    command: Command, filling_run: Path, tune_folder: Path, tmp_path: Path, use: str
) -> None:
    more = ("--out", tmp_path / "new.mid") if use == "generate" else (tune_folder / "tune00.mid",)
    done = command("seqaudio", use, filling_run, *more)
    assert done.returncode == 0, done.stderr


def test_bars_are_filled_in(command: Command, filling_run: Path, tune_folder: Path, tmp_path: Path) -> None:
    tune = tune_folder / "tune03.mid"
    options = (tune, "--bars", "2", "--out", tmp_path / "new.mid", "--count", "2", "--tries", "2", "--png")
    done = command("seqaudio", "fill", filling_run, *options)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 and "nats an event in bars 2" in done.stdout
    before = read_midi(tune)
    first, second = (read_midi(tmp_path / f"new-{number}.mid") for number in (1, 2))
    assert (tmp_path / "new-2.png").stat().st_size > 5000
    for made in (first, second):
        assert made.ticks_per_quarter == before.ticks_per_quarter
        outside = [made.select(made.start_tick < 1920), before.select(before.start_tick < 1920)]
        assert rows_of(outside[0]) == rows_of(outside[1])
        assert made.tempo.tolist() == before.tempo.tolist()
    assert rows_of(first) != rows_of(second)
    again = command("seqaudio", "fill", filling_run, *options, "--force")
    assert again.returncode == 0, again.stderr
    assert rows_of(read_midi(tmp_path / "new-1.mid")) == rows_of(first), "equal seeds, equal pieces"


def test_what_cannot_be_filled_is_one_line(
    command: Command, filling_run: Path, tune_run: Path, tune_folder: Path, tmp_path: Path
) -> None:
    tune, out = tune_folder / "tune00.mid", ("--out", tmp_path / "new.mid")
    refused = command("seqaudio", "fill", tune_run, tune, "--bars", "2", *out)
    assert_refused(refused, "not trained to fill in bars", "--fill 0.5")
    for bars, words in (("7-9", "the piece has bars 1 to 2"), ("3-2", "such as 5-8"), ("1-2", "whole piece")):
        assert_refused(command("seqaudio", "fill", filling_run, tune, "--bars", bars, *out), words)
    assert_refused(command("seqaudio", "fill", filling_run, tmp_path / "none.mid", "--bars", "2", *out), "no such file")
    assert not (tmp_path / "new.mid").exists()


def test_a_training_that_cannot_fill_is_refused(command: Command, tune_folder: Path, tmp_path: Path) -> None:
    source = ("--source", tune_folder, "--out", tmp_path / "s", "--representation", "melody")
    done = command("data_prep/midi_folder.py", *source)
    assert done.returncode == 0, done.stderr
    refused = command(
        "recipes/music_generation/train.py", "--store", tmp_path / "s", "--run", tmp_path / "run", "--fill", "0.5"
    )
    assert_refused(refused, "--representation bars")
    with pytest.raises(OptionError, match="leave out one"):
        MusicModelOptions(fill=0.5, look_back=(1,)).music_description(9, (3, range(4, 6)), (1, 2))


# --- voices that are held ---


@settings(max_examples=SAMPLES)
@given(st.integers(0, 100_000), st.integers(1, 9), st.integers(1, 4), st.integers(0, 1))
def test_held_tracks_stay_whatever_is_drawn(seed: int, first: int, count: int, track: int) -> None:
    given_piece = piece(seed)
    count = min(count, 10 - first)
    stretch = Stretch.of(BARS, given_piece, first, first + count - 1, hold=[track])
    for number in range(3):
        middle = written(stretch, seed + number)
        made = stretch.filled(middle)
        scale = made.ticks_per_quarter // given_piece.ticks_per_quarter
        kept = rows_of(given_piece.select(~stretch.inside), scale)
        new = list(rows_of(made))
        for row in kept:
            new.remove(row)
        assert {row[5] for row in new} <= {1 - track}
        for start, end, pitch, *_ in new:
            assert not any(a < end and start < b and p == pitch for a, b, p, *_, t in kept if t < 2)
        held = made.select(made.track == track)
        assert rows_of(held) == rows_of(given_piece.select(given_piece.track == track), scale)
        grammar = stretch.grammar()
        ids = [*stretch.context, *middle]
        for place, token in enumerate(ids):
            assert grammar.shortest_end() <= len(ids) - place
            assert (grammar.shortest_end() == 0) == bool(grammar.legal()[EOS])
            grammar.push(token)


def test_the_original_bars_are_one_of_the_streams_with_held_tracks() -> None:
    beats = np.arange(27)
    made = NoteSequence.from_columns(
        np.tile(beats * 480, 2), np.tile(beats * 480 + 480, 2), np.concatenate([70 + beats % 5, 50 + beats % 7]),
        track=np.repeat([0, 1], 27), time_signatures=[TimeSignature(0, 3, 4)], track_names=("Right", "Left"),
    )  # fmt: skip
    stretch = Stretch.of(BARS, made, 3, 5, hold=[0])
    stream = BARS.encode(made)
    bars = np.flatnonzero(stream == BARS.ids.bar)
    middle = stream[bars[2] : bars[5]].tolist()
    grammar = stretch.grammar()
    for token in [*stretch.context, *middle, EOS]:
        assert grammar.legal()[token], BARS.tokens[token]
        grammar.push(token)


def test_all_tracks_cannot_be_held() -> None:
    with pytest.raises(OptionError, match="leaves none to write"):
        Stretch.of(BARS, piece(4), 2, 3, hold=[0, 1])


def test_tracks_are_held_by_name_or_number(command: Command, filling_run: Path, tmp_path: Path) -> None:
    write_midi(piece(5), tmp_path / "two.mid")
    out = ("--bars", "4-5", "--out", tmp_path / "new.mid", "--tries", "1", "--force")
    for held in ("right", "1"):
        done = command("seqaudio", "fill", filling_run, tmp_path / "two.mid", *out, "--hold-voices", held)
        assert done.returncode == 0, done.stderr
        before, made = read_midi(tmp_path / "two.mid"), read_midi(tmp_path / "new.mid")
        scale = made.ticks_per_quarter // before.ticks_per_quarter
        tracks = [notes.track == notes.track_names.index("Right") for notes in (before, made)]
        assert rows_of(made.select(tracks[1])) == rows_of(before.select(tracks[0]), scale)
    for name, words in (("alto", "no track is called 'alto'; the piece has 1 right, 2 left"), ("1,2", "leaves none")):
        refused = command("seqaudio", "fill", filling_run, tmp_path / "two.mid", *out, "--hold-voices", name)
        assert_refused(refused, words)
    write_midi(piece(5).select(piece(5).track == 0), tmp_path / "one.mid")
    refused = command("seqaudio", "fill", filling_run, tmp_path / "one.mid", *out, "--hold-voices", "1")
    assert_refused(refused, "in one track")
