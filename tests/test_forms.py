"""Bars that return: any form is kept whatever a model wants, pieces end on their bar line, runs remember forms."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_bounds import bars_of, learned, representation_named, tune

from conftest import Command, assert_refused
from made_up import Wilful
from seqaudio.cli import generate
from seqaudio.cli.info import describe
from seqaudio.decoding.kept_wishes import kept_wishes
from seqaudio.decoding.plan import Plan, Wishes
from seqaudio.decoding.sampling import sample
from seqaudio.decoding.trained_music import forms_of
from seqaudio.errors import OptionError, RunError
from seqaudio.json_files import read_json
from seqaudio.midi import read_midi
from seqaudio.notes.keys import key_named, scale_of
from seqaudio.run_folder import RunFolder
from seqaudio.tokens import TokenRepresentation
from seqaudio.tokens.forms import (
    MOST_FORMS,
    Form,
    Forms,
    contents_of_bars,
    form_named,
    form_of,
    form_of_ids,
    lettered,
    of_length,
    spelt,
)
from seqaudio.vocabulary import EOS

SEEDS = int(os.environ.get("SEQAUDIO_SAMPLES", "12"))  # pieces of each representation
in_bars = pytest.mark.parametrize("name", ["bars", "REMI", "programs"])


def any_form(seed: int, bars: int) -> Form:
    """A form in which every bar may return as any new bar before it."""
    draw = np.random.default_rng(seed)
    form: list[int] = []
    for bar in range(bars):
        new = [one for one in range(bar) if form[one] == one]
        form.append(int(draw.choice(new)) if new and draw.random() < 0.6 else bar)
    return tuple(form)


def piece(plan: Plan, seed: int, form: Form | None = None) -> list[int]:
    """The ids of a piece that a wilful model samples, in the plan's form or in another."""
    generator = torch.Generator().manual_seed(seed)
    bounds = plan.bounds(generator)
    assert bounds is not None
    if form is not None:
        bounds = type(bounds)(**{**vars(bounds), "form": form})
    return sample(
        Wilful(len(plan.representation.tokens), seed),
        plan.representation,
        generator=generator,
        max_events=None,
        primer=plan.primer_ids,
        grammar=plan.representation.bounded(bounds),
    )


def keeps(found: Form, form: Form) -> bool:
    """Whether bars are equal where a form has them equal."""
    return len(found) == len(form) and all(found[bar] == found[first] for bar, first in enumerate(form))


@in_bars
def test_any_form_is_kept_whatever_the_model_wants(name: str) -> None:
    representation = representation_named(name)
    tunes = [tune(seed) for seed in range(12)]
    repertoire = learned(representation, tunes)
    for seed in range(SEEDS):
        bars = 2 + seed % 11
        plan = Plan(representation, repertoire, Wishes(bars=bars))
        form = any_form(seed, bars)
        ids = piece(plan, seed, form)
        notes = representation.decode(ids)
        assert keeps(form_of_ids(representation, ids), form)
        assert representation.encode(notes).tolist() == ids
        assert bars_of(plan.played(notes)) == bars
        assert set(ids) <= set(repertoire.tokens)
        assert (notes.end_tick - notes.start_tick).max() <= repertoire.longest
        # bars that return have the velocities too
        bar = 3 * notes.ticks_per_quarter
        rows: list[set[tuple[int, ...]]] = [set() for _ in range(bars)]
        for start, pitch, velocity in zip(notes.start_tick, notes.pitch, notes.velocity, strict=True):
            rows[start // bar].add((int(start) % bar, int(pitch), int(velocity)))
        assert all(rows[k] == rows[first] for k, first in enumerate(form))


@pytest.mark.parametrize("pitches", [1, 2])
def test_a_form_is_kept_where_notes_last_for_bars_and_pitches_are_few(pitches: int) -> None:
    representation = representation_named("bars")
    ids = representation.ids  # type: ignore[attr-defined]
    repertoire = learned(representation, [tune(seed) for seed in range(6)])
    chosen = {ids.note + 60 + pitch for pitch in range(pitches)} | {ids.length(length) for length in (6, 12, 80, 190)}
    others = {token for token in repertoire.tokens if token < ids.note}
    few = type(repertoire)(**{**vars(repertoire), "tokens": tuple(sorted(chosen | others)), "longest": 190})
    for seed in range(2 * SEEDS):
        bars = 2 + seed % 9
        form = any_form(seed, bars)
        found = piece(Plan(representation, few, Wishes(bars=bars)), seed, form)
        assert keeps(form_of_ids(representation, found), form)
        assert bars_of(representation.decode(found)) == bars


def test_a_form_permits_nothing_that_the_base_does_not() -> None:
    representation = representation_named("bars")
    plan = Plan(
        representation, learned(representation, [tune(seed) for seed in range(12)]), Wishes(bars=8, form="ABAC")
    )
    draw = np.random.default_rng(4)
    bounds = plan.bounds(torch.Generator().manual_seed(4))
    assert bounds is not None and bounds.form == (0, 1, 2, 3, 0, 1, 6, 7)
    base, within = representation.grammar(), representation.bounded(bounds)
    token = -1
    while token != EOS:
        legal = within.legal()
        assert legal.any() and not (legal & ~base.legal()).any()
        token = int(draw.choice(np.flatnonzero(legal)))
        base.push(token)
        within.push(token)


@in_bars
def test_bars_of_a_primer_stay_and_return(name: str) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    primer = tune(50)
    whole = representation.encode(primer).tolist()
    own = len(contents_of_bars(representation, np.array(whole)))
    form = lettered("AB" * 3, 6 * own)
    plan = Plan(representation, repertoire, Wishes(bars=6 * own, form="ABABAB"), primer, whole)
    ids = piece(plan, 1)
    found = form_of_ids(representation, ids)
    assert ids[: len(whole)] == whole
    # B may end otherwise than A, so it may not return as the last bar; what comes from the primer returns
    assert all(found[bar] == found[first] for bar, first in enumerate(form) if own <= bar)
    for count in range(5, len(whole), 23):
        plan = Plan(representation, repertoire, Wishes(bars=9, form="ABC"), primer, whole[:count])
        if plan.reached <= 8 * 3 * 12:
            ids = piece(plan, count)
            assert ids[:count] == whole[:count]
            assert bars_of(plan.played(representation.decode(ids))) == 9


def test_bars_of_a_primer_outside_the_key_do_not_return() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    primer = tune(50)
    whole = representation.encode(primer).tolist()
    key = key_named("D major")
    plan = Plan(representation, repertoire, Wishes(bars=24, form="AAA", key=key), primer, whole)
    notes = representation.decode(piece(plan, 3))
    later = notes.select(notes.start_tick >= plan.reached)
    assert len(later) and set((later.pitch % 12).tolist()) <= set(scale_of(key))


def test_too_few_tokens_end_a_piece_in_a_form() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    plan = Plan(representation, repertoire, Wishes(bars=40, form="AABB"))
    for most in range(30, 90, 7):
        generator = torch.Generator().manual_seed(most)
        bounds = plan.bounds(generator)
        assert bounds is not None
        model, grammar = Wilful(len(representation.tokens), most), representation.bounded(bounds)
        ids = sample(model, representation, generator=generator, max_events=most, grammar=grammar)
        assert len(ids) <= most
        representation.decode(ids)


def test_forms_are_drawn_from_those_of_training() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    forms = Forms(("1-4 1-4", "1-2 1-2 5-8", "1-3"))
    plan = Plan(representation, repertoire, Wishes(bars=8), forms=forms)
    found = {bounds.form for seed in range(20) if (bounds := plan.bounds(torch.Generator().manual_seed(seed)))}
    assert found == {(0, 1, 2, 3, 0, 1, 2, 3), (0, 1, 0, 1, 4, 5, 6, 7)}
    for wishes in (Wishes(bars=8, form="free"), Wishes(bars=8)):
        bounds = Plan(representation, repertoire, wishes, forms=forms if wishes.form else None).bounds(
            torch.Generator()
        )
        assert bounds is not None and bounds.form is None
    # of another length: the beginning, or the form once more with other bars
    for bars, form in ((2, (0, 1)), (4, (0, 1, 2, 3)), (11, None)):
        bounds = Plan(representation, repertoire, Wishes(bars=bars), forms=forms).bounds(torch.Generator())
        assert bounds is not None and bounds.form is not None and len(bounds.form) == bars
        assert form is None or bounds.form == form
    assert of_length((0, 0, 2), 7) == (0, 0, 2, 3, 3, 5, 6)


def test_letters_choose_a_length_that_they_divide() -> None:
    representation = representation_named("bars")
    repertoire = learned(representation, [tune(seed) for seed in range(12)])
    plan = Plan(representation, repertoire, Wishes(form="AABA"))
    for seed in range(6):
        bounds = plan.bounds(torch.Generator().manual_seed(seed))
        assert bounds is not None and bounds.form == lettered("AABA", len(bounds.form or ()))
    notes = representation.decode(ids := piece(plan, 3))
    bounds = plan.bounds(torch.Generator().manual_seed(3))
    (kept,) = kept_wishes(plan, bounds, notes, plan.played(notes), form_of_ids(representation, ids))
    assert (kept.name, kept.asked, kept.share, kept.guaranteed) == ("form", "AABA", 1.0, True)


@pytest.mark.parametrize(
    ("name", "wishes", "words"),
    [
        ("melody", Wishes(form="AABB"), "--form AABB: melody cannot write a bar again; leave it out"),
        ("bars", Wishes(form="drawn"), "--form drawn: the run does not know the forms of its training pieces"),
        ("bars", Wishes(form="AAB", bars=7), "--form AAB: 7 bars are not 3 groups of equal length; .* a multiple of 3"),
    ],
)
def test_forms_that_cannot_be_kept_are_refused(name: str, wishes: Wishes, words: str) -> None:
    representation = representation_named(name)
    repertoire = learned(representation, [tune(seed) for seed in range(6)])
    with pytest.raises(OptionError, match=words):
        Plan(representation, repertoire, wishes)


def test_forms_of_pieces_and_their_text() -> None:
    assert form_of("abacabde") == (0, 1, 0, 3, 0, 1, 6, 7)
    for seed in range(50):
        form = any_form(seed, 1 + seed)
        assert form_named(spelt(form)) == form
    assert spelt((0, 1, 2, 0, 1, 5)) == "1-3 1-2 6"
    for text in ("", "2", "1-2 2-1", "1-3 5", "1 1-2 2 4", "1-", "a", "0-3", "1  2", "1-9999", "01", "1-1", "1 2"):
        with pytest.raises(ValueError, match="form"):
            form_named(text)


@pytest.mark.parametrize("name", ["bars", "REMI"])
def test_velocities_do_not_count_in_the_form_of_a_piece(name: str) -> None:
    representation = representation_named(name)
    one = tune(1)
    bars = int(bars_of(one))
    columns = {field: np.tile(getattr(one, field), 2) for field in ("pitch", "program", "track")}
    shift = np.repeat([0, one.last_tick], len(one))
    again = type(one).from_columns(
        np.tile(one.start_tick, 2) + shift, np.tile(one.end_tick, 2) + shift, columns["pitch"],
        np.random.default_rng(2).integers(1, 128, 2 * len(one)), columns["program"], columns["track"],
        tempos=[(0, 400_000)], time_signatures=one.time_signatures, track_names=one.track_names,
    )  # fmt: skip
    found = form_of_ids(representation, representation.encode(again).tolist())
    assert found[bars:] == found[:bars]


def test_no_more_forms_are_kept_than_a_run_can_hold() -> None:
    representation = representation_named("bars")
    assert isinstance(representation, TokenRepresentation)
    rows = [representation.encode(tune(seed % 5)) for seed in range(MOST_FORMS + 9)]
    forms = Forms.of(representation, rows)
    assert forms is not None and MOST_FORMS // 2 <= len(forms.spelt) <= MOST_FORMS
    assert Forms.of(representation_named("melody"), rows) is None
    assert Forms.of(representation, []) is None


def with_forms(run: Path, folder: Path, forms: Any) -> Path:
    """A copy of a run that keeps other forms; none for None."""
    shutil.copytree(run, folder)
    data = read_json(folder / "config.json")
    data["input"].pop("forms", None)
    data["input"] |= {} if forms is None else {"forms": forms}
    (folder / "config.json").write_text(json.dumps(data))
    return folder


def test_a_run_keeps_the_forms_of_its_training_pieces(
    tune_store: Path, tune_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = forms_of(RunFolder(tune_run))
    assert forms is not None and forms.to_json() == read_json(tune_run / "config.json")["input"]["forms"]
    assert any("forms of" in line and "bars that return" in line for line in describe(tune_run))
    generate.main(generate.Config(tune_run, tmp_path / "x.mid", bars=8, form="AABB"))
    told = capsys.readouterr().out
    assert "form AABB (100 % of 4 bars that return)\n  form 1-2 1-2 5-6 5-6: 4 of 8 bars return\n" in told
    # a run that was made without forms, and one that is asked for none, do as before
    older = with_forms(tune_run, tmp_path / "older", None)
    generate.main(generate.Config(older, tmp_path / "older.mid"))
    generate.main(generate.Config(tune_run, tmp_path / "free.mid", form="free"))
    assert "bars return" not in capsys.readouterr().out
    assert read_midi(tmp_path / "older.mid") == read_midi(tmp_path / "free.mid")
    assert not any("forms of" in line for line in describe(older))


def test_damaged_forms_are_one_line(tune_run: Path, tmp_path: Path) -> None:
    for number, forms in enumerate(({"spelt": []}, {"spelt": ["2-3"]}, {"spelt": [3]}, [])):
        run = with_forms(tune_run, tmp_path / str(number), forms)
        with pytest.raises(RunError, match=r"config\.json: damaged"):
            forms_of(RunFolder(run))


@pytest.mark.parametrize("form", ["A-B", "", "A A", "ÄB", "A" * 33])
def test_what_is_no_form_is_refused(form: str, command: Command, tune_run: Path, tmp_path: Path) -> None:
    line = command("seqaudio", "generate", tune_run, "--out", tmp_path / "x.mid", "--form", form)
    assert_refused(line, "expected drawn, free, or letters of equal groups of bars such as AABA")
    assert not (tmp_path / "x.mid").exists()
