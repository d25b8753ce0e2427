"""Scoring a piece under a model: whole equals stepwise, each onset has its tokens, nothing is counted twice or lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Command, assert_refused
from legibility import assert_legible
from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.errors import OptionError
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.music import surprise as module
from seqaudio.evaluation.music.surprise import surprise, token_nats
from seqaudio.midi import read_midi, write_midi
from seqaudio.models.events import EventModel
from seqaudio.notes import KeySignature, NoteSequence, TimeSignature
from seqaudio.rendering.piano_roll import piano_roll
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.vocabulary import BOS, EOS

REPRESENTATIONS = ("melody", "performance", "chorale", "chorale_grid", "miditok:REMI", "miditok:TSD")


def built(name: str, **settings: Any) -> TokenRepresentation:
    representation = build_representation(name, settings)
    assert isinstance(representation, TokenRepresentation)
    return representation


def model_of(representation: TokenRepresentation) -> EventModel:
    torch.manual_seed(1)
    return EventModel(len(representation.tokens), embedding_size=8, hidden_size=12).eval()


def four_parts(seed: int = 0, beats: int = 24) -> NoteSequence:
    """Four voices in quarters and eighths, in 3/4, with rests."""
    draw = np.random.default_rng(seed)
    rows = []
    for track in range(4):
        for beat in range(beats):
            if draw.random() < 0.15:
                continue
            for half in range(1 + int(draw.integers(2))):
                start = 480 * beat + 240 * half
                rows.append((start, start + 240, 76 - 9 * track + int(draw.integers(-4, 5)), track))
    start, end, pitch, track = np.array(rows).T
    return NoteSequence.from_columns(
        start, end, pitch, track=track, time_signatures=[TimeSignature(0, 3, 4)], key_signatures=[KeySignature(0, 0)]
    )


def test_whole_equals_stepwise() -> None:
    representation = built("performance")
    model = model_of(representation)
    ids = representation.encode(four_parts())
    stepwise = []
    state = model.initial_state(1)
    with torch.no_grad():
        for token, target in zip([BOS, *ids], [*ids, EOS], strict=True):
            logits, state = model.step(torch.tensor([token]), state)
            stepwise.append(-float(torch.log_softmax(logits[0].double(), 0)[target]))
    np.testing.assert_allclose(token_nats(model, ids), stepwise, atol=1e-5)


def test_a_piece_has_the_nats_of_an_evaluation(tune_run: Path, tune_store: Path) -> None:
    run, store = RunFolder(tune_run), Store(tune_store)
    model, split = run.model(), store["valid"]
    assert isinstance(model, EventModel)
    nats = np.concatenate([token_nats(model, split.sequence(row)) for row in range(len(split))])
    expected = evaluate(model, PaddedBatches(TokenSequences(split), 64))
    assert (nats.mean(), len(nats)) == (pytest.approx(expected["nats_per_event"], rel=1e-5), expected["count"])


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_token_is_in_one_moment_and_the_end_in_none(name: str) -> None:
    representation = built(name)
    notes = four_parts()
    scored = surprise(model_of(representation), representation, notes)
    moments = scored.moments
    assert sum(moment.tokens for moment in moments) == len(representation.encode(notes))
    assert sum(moment.nats for moment in moments) + scored.nats[-1] == pytest.approx(scored.total)
    assert sum(moment.notes for moment in moments) == len(scored.notes)
    assert [moment.quarter for moment in moments] == sorted({moment.quarter for moment in moments})
    assert all(moment.tokens and moment.notes for moment in moments[1:])
    assert all(moment.bar == 1 + moment.quarter // 3 for moment in moments), "bars are of three quarters"
    assert_legible(piano_roll(scored.shown, "surprise", scored.lines))


def test_tokens_of_a_melody_stand_at_the_onset_that_they_lead_to() -> None:
    representation = built("melody")
    # C for a quarter, a rest of a quarter, D for a quarter, in sixteenths: note, 3 holds; 4 rests, note, 3 holds
    notes = NoteSequence.from_columns([0, 960], [480, 1440], [60, 62])
    scored = surprise(model_of(representation), representation, notes)
    assert scored.borders.tolist() == [0, 4, 12]
    assert scored.by_moment.tolist() == pytest.approx([scored.nats[:4].sum(), scored.nats[4:12].sum()])
    assert [moment.quarter for moment in scored.moments] == [0.0, 2.0]


def test_moments_of_seconds_stand_where_the_notes_of_the_piece_stand() -> None:
    """At 60 quarters a minute and a clock of hundredths of a second."""
    representation = built("performance", clock="second")
    slow = NoteSequence.from_columns(
        [0, 480, 1440], [480, 960, 1920], [60, 64, 67], tempos=[(0, 1_000_000)],
        time_signatures=[TimeSignature(0, 3, 4)],
    )  # fmt: skip
    scored = surprise(model_of(representation), representation, slow)
    assert scored.shown == slow
    assert [(moment.quarter, moment.bar) for moment in scored.moments] == [(0.0, 1), (1.0, 1), (3.0, 2)]


def test_many_onsets_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    representation = built("performance")
    notes = four_parts()
    monkeypatch.setattr(module, "MAX_MOMENTS", 10)
    scored = surprise(model_of(representation), representation, notes)
    assert len(scored.onsets) <= 10
    assert sum(moment.notes for moment in scored.moments) == len(notes)
    assert scored.by_moment.sum() + scored.nats[-1] == pytest.approx(scored.total)


def test_what_cannot_be_scored_is_told() -> None:
    melody = built("melody")
    drums = NoteSequence.from_columns([0], [480], [36], is_drum=True)
    with pytest.raises(OptionError, match="melody keeps none of 1 notes"):
        surprise(model_of(melody), melody, drums)
    with pytest.raises(OptionError, match=r"a model of \d+ tokens, performance has"):
        surprise(model_of(melody), built("performance"), four_parts())


# --- the command ---


def test_pieces_are_told_in_a_table_as_json_and_as_csv(
    command: Command, tune_run: Path, tune_folder: Path, tmp_path: Path
) -> None:
    files = [tune_folder / f"tune0{number}.mid" for number in range(6)]
    done = command("seqaudio", "score", tune_run, *files, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    table = done.stdout.splitlines()
    assert len(table) == 2 + 6 + 1
    assert table[-1].startswith("| all 6")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"scores.json", *(f"{file.stem}.png" for file in files)}
    data = json.loads((tmp_path / "out" / "scores.json").read_text())
    told = command("seqaudio", "score", tune_run, *files, "--json")
    assert json.loads(told.stdout) == data
    rows = list(csv.DictReader(io.StringIO(command("seqaudio", "score", tune_run, files[0], "--csv").stdout)))
    first = data["pieces"][0]
    assert len(rows) == len(first["moments"])
    assert sum(float(row["nats"]) for row in rows) + first["nats_of_end"] == pytest.approx(first["nats"], abs=1e-3)
    assert first["nats_per_event"] == pytest.approx(first["nats"] / first["events"])
    again = command("seqaudio", "score", tune_run, files[0], "--out", tmp_path / "out")
    assert_refused(again, "tune00.png exists", "--force")


def test_what_a_model_learnt_surprises_it_less_than_what_it_did_not(
    command: Command, tune_run: Path, tune_folder: Path, tmp_path: Path
) -> None:
    known = read_midi(tune_folder / "tune00.mid")
    draw = np.random.default_rng(0)
    write_midi(known.with_columns(pitch=draw.integers(30, 100, len(known))), tmp_path / "random.mid")
    done = command("seqaudio", "score", tune_run, tune_folder / "tune00.mid", tmp_path / "random.mid", "--json")
    tune, noise = json.loads(done.stdout)["pieces"]
    assert noise["nats_per_note"] > 1.5 * tune["nats_per_note"]


def test_a_note_that_is_lost_is_told_in_one_line(command: Command, tune_run: Path, tmp_path: Path) -> None:
    notes = NoteSequence.from_columns([0, 0, 480], [480, 480, 960], [60, 36, 62], is_drum=[False, True, False])
    write_midi(notes, tmp_path / "drums.mid")
    done = command("seqaudio", "score", tune_run, tmp_path / "drums.mid")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'drums.mid'}: bars kept 2 of 3 notes")


def test_a_file_that_cannot_be_scored_does_not_stop_the_others(
    command: Command, tune_run: Path, tune_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mid").write_bytes(b"MThd")
    done = command("seqaudio", "score", tune_run, tmp_path / "bad.mid", tune_folder / "tune00.mid")
    assert_refused(done, "bad.mid")
    assert "tune00.mid" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{run}",), ("got no MIDI files",)),
        (("{run}", "{empty}"), ("has no MIDI files",)),
        (("{run}", "{none}"), ("missing", "no such file")),
        (("{run}", "{drums}"), ("drums.mid", "keeps none of 1 notes")),
        (("{none}", "{tune}"), ("no such folder",)),
        (("{words}", "{tune}"), ("keyword_recognition", "music_generation")),
        (("{run}", "{tune}", "--json", "--csv"), ("exclude each other",)),
        (("{run}", "{tune}", "{copy}"), ("tune00.png", "one at a time")),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    command: Command,
    tune_run: Path,
    word_run: Path,
    tune_folder: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: tuple[str, ...],
) -> None:
    tune = tune_folder / "tune00.mid"
    for name in ("empty", "more"):
        (tmp_path / name).mkdir()
    (tmp_path / "more" / "tune00.mid").write_bytes(tune.read_bytes())
    write_midi(NoteSequence.from_columns([0], [480], [36], is_drum=True), tmp_path / "drums.mid")
    places = {"run": tune_run, "words": word_run, "tune": tune, "copy": tmp_path / "more" / "tune00.mid"}
    places |= {name: tmp_path / name for name in ("none", "empty")} | {"drums": tmp_path / "drums.mid"}
    out = ("--out", str(tmp_path / "out"))
    assert_refused(command("seqaudio", "score", *(word.format(**places) for word in arguments), *out), *said)
    assert not (tmp_path / "out").exists()
