"""docs/representations.md keeps its word: its tables, its picture and its code are those of today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from conftest import ROOT
from legibility import assert_legible, words
from seqaudio.errors import OptionError
from seqaudio.midi import write_midi
from seqaudio.notes import NoteSequence, operations
from seqaudio.tokens import REPRESENTATIONS, MidiTokRepresentation, PerformanceRepresentation, TokenRepresentation
from seqaudio.tokens.miditok.tokeniser import TOKENISERS

sys.path.append(str(ROOT / "docs" / "pages"))

from representations_page import BARS, PAGE, PICTURE, TITLE, eight_bars, filled, full_name
from representations_page import REPRESENTATIONS as SHOWN
from token_drawing import representations_figure
from token_times import token_times

TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
AGAIN = "run python docs/pages/representations_page.py"


def test_the_tables_are_those_of_the_code() -> None:
    assert filled(TEXT) == TEXT, AGAIN


def test_every_representation_is_shown() -> None:
    ours = {name for name in REPRESENTATIONS if REPRESENTATIONS[name].__module__.startswith("seqaudio.")}
    assert {representation.name for representation in SHOWN} == ours
    for name in (*map(full_name, SHOWN), *TOKENISERS, *operations.__all__):
        assert name in TEXT or name == "Chord", name


@pytest.mark.parametrize("representation", SHOWN, ids=full_name)
def test_the_table_of_a_representation_is_all_that_it_writes(representation: TokenRepresentation) -> None:
    section = TEXT.split(f"### `{full_name(representation)}`")[1].split("###")[0].split("<!--")[0]
    rows = re.findall(r"^\| \d \| (.*) \|$", section, re.MULTILINE)
    assert len(rows) == BARS
    if isinstance(representation, TokenRepresentation):
        ids = [representation.tokens.index(name) for row in rows for name in row.strip("`").split()]
        assert representation.decode(ids) == representation.quantise(eight_bars())


def test_the_eight_bars_have_what_is_hard_to_say() -> None:
    notes = eight_bars()
    assert int(notes.end_tick.max()) == 8 * 4 * 480
    soprano = notes.select(notes.track == 0)
    repeated = (soprano.pitch[1:] == soprano.pitch[:-1]) & (soprano.start_tick[1:] == soprano.end_tick[:-1])
    assert repeated.any()
    assert notes.start_tick[notes.track == 3].min() == 6 * 4 * 480  # the bass rests for six bars


def test_the_picture_is_that_of_the_code() -> None:
    figure = representations_figure(eight_bars(), SHOWN, TITLE)
    assert_legible(figure)
    written = words(figure)
    for representation in SHOWN:
        assert f"{full_name(representation)}  " in written
    stored = imread(ROOT / PICTURE)[..., :3]
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255  # type: ignore[attr-defined]
    assert drawn.shape == stored.shape, AGAIN
    # fonts differ a little from one version of matplotlib to the next
    assert np.abs(drawn - stored).mean() < 0.01, AGAIN


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    write_midi(eight_bars(), tmp_path / "tune.mid")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "32 of 80 notes kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    "representation", [PerformanceRepresentation(clock="second"), MidiTokRepresentation("MIDILike")], ids=full_name
)
def test_times_that_nobody_knows_are_not_made_up(representation: TokenRepresentation) -> None:
    with pytest.raises(OptionError, match=r"token times of .* are not supported"):
        token_times(representation, representation.encode(eight_bars()))


@pytest.mark.parametrize("representation", [it for it in SHOWN if isinstance(it, TokenRepresentation)], ids=full_name)
def test_times_of_tokens_rise_and_notes_stand_where_they_begin(representation: TokenRepresentation) -> None:
    notes = eight_bars()
    ids = representation.encode(notes)
    times = token_times(representation, ids)
    assert (np.diff(times) >= 0).all()
    begins = [representation.tokens[token].partition("_")[0] in ("note", "on", "Pitch") for token in ids.tolist()]
    quantised = representation.quantise(notes)
    starts = (quantised.start_tick / quantised.ticks_per_quarter).tolist()
    if representation.name.startswith("tonicnet"):  # a note token in each step that the note sounds in
        assert set(starts) <= set(times[begins].tolist())
    else:
        assert times[begins].tolist() == starts
    assert len(token_times(representation, ids[:0])) == 0


def test_marks_that_are_missing_and_pieces_without_notes_are_refused() -> None:
    with pytest.raises(OptionError, match="the page lacks <!-- tables: begin -->"):
        filled("# a page")
    with pytest.raises(OptionError, match="the piece has no notes"):
        representations_figure(NoteSequence.from_columns([], [], []), SHOWN)
